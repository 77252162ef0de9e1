import Compute
import LanguageModels
import PromptTuning

/// What the contexts of a call become: what stands in front of all of them, what each sequence starts with, and what an
/// encoder reads.
struct DecodingPlan {
  /// What is read of each context: tokens and, as negative numbers, virtual tokens.
  let arranged: ArrangedTexts
  /// What all contexts start with; empty with an encoder.
  let common: [Int32]
  /// Cache rows of prefixes, and of what all contexts start with unless an encoder reads it.
  let front: Range<Int>
  /// The first tokens of each sequence that the cache does not hold yet; at least one.
  let starts: [[Int32]]
  /// What the encoder reads for each sequence; nil without an encoder.
  let sources: [[Int32]]?
  /// Rows of the encoder's output for each sequence; 0 without an encoder.
  let memoryNeeds: [Int]

  /// - Parameter closing: how many tokens at the end of each context stay behind the prompt.
  init(_ contexts: [[Int32]], closing: Int, _ promptedModel: PromptedModel) throws {
    arranged = try promptedModel.arrange(contexts, closing: closing)
    let sequences = arranged.sequences
    let prefixLength = arranged.prefixes?.length ?? 0
    if let model = promptedModel.model as? any EncoderDecoderModel {
      common = []
      front = 0..<prefixLength
      starts = sequences.map { _ in [model.decoderStartToken] }
      sources = sequences
      memoryNeeds = sequences.map(\.count)
    } else {
      let shared = Self.commonStart(sequences)
      common = Array(shared)
      front = 0..<prefixLength + shared.count
      starts = sequences.map { Array($0[shared.count...]) }
      sources = nil
      memoryNeeds = sequences.map { _ in 0 }
    }
  }

  /// What all of several contexts start with; each keeps at least one token of its own.
  private static func commonStart(_ contexts: [[Int32]]) -> ArraySlice<Int32> {
    guard contexts.count > 1, let first = contexts.first else { return [] }
    let length = contexts.dropFirst().reduce(first.count - 1) { length, context in
      let bound = min(length, context.count - 1)
      return (0..<bound).first { context[$0] != first[$0] } ?? bound
    }
    return first.prefix(length)
  }
}

/// The caches of a call and their free rows.
struct DecodingCaches {
  /// Keys and values of the sequences' own tokens.
  let own: KeyValueCache
  /// Keys and values of the encoder's output; nil without an encoder.
  let memory: KeyValueCache?
  private var ownRows: CacheRows
  private var memoryRows: CacheRows

  /// Caches for as many inputs as run at a time, within the bytes allowed, and for one in any case.
  ///
  /// - Parameter needs: rows of each sequence behind the front.
  init(_ plan: DecodingPlan, needs: [Int], _ promptedModel: PromptedModel, _ options: DecodingOptions) throws {
    let facts = promptedModel.model.facts
    func capacity(_ needs: [Int], layers: Int, bytes: Int, front: Int) -> Int {
      let rowBytes = layers * (facts.keyWidth + facts.valueWidth) * DType.f32.byteCount
      let wanted = needs.sorted(by: >).prefix(options.batchSize).reduce(0, +)
      return front + max(needs.max() ?? 0, min(wanted, bytes / max(1, rowBytes) - front))
    }
    if let model = promptedModel.model as? any EncoderDecoderModel {
      let bytes = options.cacheBytes / 2
      let layers = model.decoderLayers
      own = try model.makeDecoderCache(
        capacity: capacity(needs, layers: layers, bytes: bytes, front: plan.front.count))
      let cache = try model.makeDecoderCache(
        capacity: capacity(plan.memoryNeeds, layers: layers, bytes: bytes, front: 0))
      memory = cache
      memoryRows = CacheRows(0..<cache.capacity)
    } else {
      own = try KeyValueCache(
        capacity: capacity(needs, layers: facts.layers, bytes: options.cacheBytes, front: plan.front.count),
        for: promptedModel.model)
      memory = nil
      memoryRows = CacheRows(0..<0)
    }
    ownRows = CacheRows(plan.front.upperBound..<own.capacity)
  }

  /// Rows for a sequence in both caches, or nil while there are too few.
  mutating func take(own count: Int, memory memoryCount: Int) -> (own: Range<Int>, memory: Range<Int>?)? {
    guard let rows = ownRows.take(count) else { return nil }
    guard memory != nil else { return (rows, nil) }
    guard let range = memoryRows.take(memoryCount) else {
      ownRows.give(rows)
      return nil
    }
    return (rows, range)
  }

  /// Takes the rows of a sequence back.
  mutating func give(_ continuation: any Continuation) {
    ownRows.give(continuation.rows)
    if let range = continuation.memory { memoryRows.give(range) }
  }
}
