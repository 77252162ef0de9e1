import Autodiff
import Compute
import LanguageModels
import PromptTuning

/// Tokens whose keys and values are to be computed, and what they see.
struct DecodingRequest {
  /// The input it belongs to, for messages.
  var input: Int
  /// How many new tokens the input has so far, for messages.
  var step: Int
  /// At least one; the scores are wanted behind the last one.
  var tokens: [Int32]
  /// The position of the first token.
  var position: Int
  /// Cache rows in front of its own.
  var shared: [Range<Int>]
  /// The sequence's own rows, those of `tokens` last.
  var own: Range<Int>
  /// The rows of the encoder's output that it sees; nil for a model without encoder.
  var memory: Range<Int>?
}

/// The scores behind each request of a pass.
enum DecodingScores {
  /// The token with the highest score.
  case best([Int32])
  /// All scores, `[requests, vocabulary]`.
  case all([Float], vocabulary: Int)

  /// The best token after a request.
  func best(_ request: Int) -> Int32 {
    guard case .best(let tokens) = self else { preconditionFailure("all scores were read") }
    return tokens[request]
  }

  /// The scores after a request.
  func row(_ request: Int) -> ArraySlice<Float> {
    guard case .all(let values, let vocabulary) = self else {
      preconditionFailure("only the best tokens were read")
    }
    return values[request * vocabulary..<(request + 1) * vocabulary]
  }
}

/// Runs a prompted model over requests, with a cache behind it.
struct DecodingPass {
  let promptedModel: PromptedModel
  /// What the tokens of requests are: those of texts and virtual ones.
  let arranged: ArrangedTexts
  let cache: KeyValueCache
  /// Keys and values of the encoder's output; nil for a model without encoder.
  var memory: KeyValueCache?
  /// Whether all scores are read, not only the best token.
  let readsAllScores: Bool

  private var model: any LanguageModel { promptedModel.model }

  /// Fills the cache's first rows with what all sequences have in front: prefixes, then tokens.
  ///
  /// - Parameter tokens: may be empty.
  func fillShared(_ tokens: [Int32]) throws {
    let prefixLength = arranged.prefixes?.length ?? 0
    if let prefixes = arranged.prefixes {
      try cache.store(prefixes, rows: try model.backend.indices((0..<prefixLength).map(Int32.init)))
    }
    guard !tokens.isEmpty else { return }
    let tape = Tape(model.backend, isRecording: false)
    let batch = try PackedBatch.storing(
      prefixLength..<prefixLength + tokens.count, keyCount: cache.capacity, on: model.backend)
    _ = try model.encode(try promptedModel.embed(tokens, of: arranged, on: tape), batch, cache: cache, on: tape)
  }

  /// Lets the encoder read texts, and keeps what the decoder's layers see of them.
  ///
  /// - Parameter rows: of the memory, as many as each text has.
  func fillMemory(_ texts: [[Int32]], rows: [Range<Int>]) throws {
    guard let memory, let model = model as? any EncoderDecoderModel, !texts.isEmpty else { return }
    let tape = Tape(model.backend, isRecording: false)
    let encoded = try model.encode(
      try promptedModel.embed(texts.flatMap { $0 }, of: arranged, on: tape),
      try PackedBatch.bidirectional(promptLength: 0, texts.map(\.count), on: model.backend), cache: nil, on: tape)
    try memory.store(
      try model.memory(of: encoded, on: tape), rows: try model.backend.indices(rows.flatMap { $0.map(Int32.init) }))
  }

  /// Computes the requests' tokens as one packed batch.
  ///
  /// - Returns: the scores of the next token after each.
  /// - Throws: `EvaluationError.nonFiniteScores`.
  func run(_ requests: [DecodingRequest]) throws -> DecodingScores {
    let backend = model.backend
    let tape = Tape(backend, isRecording: false)
    var tokens: [Int32] = []
    var positions: [Int32] = []
    var cacheRows: [Int32] = []
    var lastRows: [Int32] = []
    var segments: [AttentionSegment] = []
    var lastSegments: [AttentionSegment] = []
    for (number, request) in requests.enumerated() {
      let count = request.tokens.count
      let queries = tokens.count..<tokens.count + count
      segments.append(AttentionSegment(queries: queries, shared: request.shared, own: request.own, causal: true))
      lastSegments.append(
        AttentionSegment(queries: number..<number + 1, shared: request.shared, own: request.own, causal: true))
      tokens += request.tokens
      positions += (request.position..<request.position + count).map(Int32.init)
      cacheRows += (request.own.upperBound - count..<request.own.upperBound).map(Int32.init)
      lastRows.append(Int32(queries.upperBound - 1))
    }
    let layout = try AttentionLayout(segments: segments, queryCount: tokens.count, keyCount: cache.capacity)
    let batch = PackedBatch(
      positions: try backend.indices(positions), layout: layout, outputRows: try backend.indices(lastRows),
      outputLayout: try AttentionLayout(
        segments: lastSegments, queryCount: requests.count, keyCount: cache.capacity),
      cacheRows: try backend.indices(cacheRows))
    let hidden = try hidden(try promptedModel.embed(tokens, of: arranged, on: tape), batch, requests, on: tape)
    let scores = try model.logits(hidden, on: tape).value
    // Asked for before anything is waited for.
    let best = readsAllScores ? nil : try backend.argmaxRows(scores)
    if let element = try backend.firstNonFinite(scores) {
      let request = requests[element / scores.columnCount]
      throw EvaluationError.nonFiniteScores(index: request.input, step: request.step)
    }
    if let best { return .best(try backend.integers(best)) }
    return .all(try backend.values(scores), vocabulary: scores.columnCount)
  }

  /// The hidden states behind the last token of each request.
  private func hidden(
    _ embeddings: Variable, _ batch: PackedBatch, _ requests: [DecodingRequest], on tape: Tape
  ) throws -> Variable {
    guard let memory, let model = model as? any EncoderDecoderModel else {
      return try model.encode(embeddings, batch, cache: cache, on: tape)
    }
    let ranges = requests.map { $0.memory ?? 0..<0 }
    let decoderBatch = DecoderBatch(
      rows: batch,
      memoryLayout: try DecoderBatch.layout(requests.map(\.tokens.count), ranges, memory.capacity),
      outputMemoryLayout: try DecoderBatch.layout(requests.map { _ in 1 }, ranges, memory.capacity))
    return try model.decode(
      embeddings, decoderBatch, memory: EncoderMemory(memory, on: tape), cache: cache, on: tape)
  }
}
