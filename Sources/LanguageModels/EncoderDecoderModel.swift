import Autodiff
import Compute

/// A model whose encoder reads a text and whose decoder writes another one (Sutskever et al., 2014; Vaswani et al.,
/// 2017).
///
/// `encode` is the encoder; `logits` and `losses` take hidden states of the decoder.
public protocol EncoderDecoderModel: LanguageModel {
  /// What the decoder reads in front of every target.
  var decoderStartToken: Int32 { get }
  /// What fills up a text to a length, as the configuration says; nil where it does not.
  var padToken: Int32? { get }
  /// Layers of the decoder; `facts.layers` are the encoder's.
  var decoderLayers: Int { get }

  /// The keys and values that the decoder's layers attend to, one row for each row of `encoded`.
  ///
  /// - Parameter encoded: final hidden states of the encoder, `[rows, hiddenWidth]`.
  func memory(of encoded: Variable, on tape: Tape) throws -> EncoderMemory

  /// The final hidden states of the decoder for the rows that the batch asks for: `[output rows, hiddenWidth]`.
  ///
  /// - Parameters:
  ///   - embeddings: of the decoder's tokens, `[rows, embeddingWidth]`, in the order of the batch.
  ///   - prefixes: keys and values in front of the decoder's own, for which the batch is laid out; with a cache they are
  ///     stored there once instead.
  ///   - cache: the decoder's own keys and values of earlier tokens; receives those of this batch.
  func decode(
    _ embeddings: Variable, _ batch: DecoderBatch, memory: EncoderMemory, prefixes: LayerPrefixes?,
    cache: KeyValueCache?, on tape: Tape
  ) throws -> Variable
}

extension EncoderDecoderModel {
  /// As `decode` with prefixes, without any.
  public func decode(
    _ embeddings: Variable, _ batch: DecoderBatch, memory: EncoderMemory, cache: KeyValueCache?, on tape: Tape
  ) throws -> Variable {
    try decode(embeddings, batch, memory: memory, prefixes: nil, cache: cache, on: tape)
  }

  /// An empty cache for keys and values of the decoder's layers: those of its own tokens, or those of a memory.
  public func makeDecoderCache(capacity: Int) throws -> KeyValueCache {
    try KeyValueCache(
      capacity: capacity, layers: decoderLayers, keyWidth: facts.keyWidth, valueWidth: facts.valueWidth, on: backend)
  }
}

/// What a decoder's layers attend to of the encoder's output.
public struct EncoderMemory {
  /// For each layer of the decoder `[rows, keyWidth]`.
  public let keys: [Variable]
  /// For each layer of the decoder `[rows, valueWidth]`.
  public let values: [Variable]

  public init(keys: [Variable], values: [Variable]) {
    self.keys = keys
    self.values = values
  }

  /// The rows of a cache, as constants.
  public init(_ cache: KeyValueCache, on tape: Tape) {
    keys = cache.keys.map { tape.constant($0, name: "cached memory keys") }
    values = cache.values.map { tape.constant($0, name: "cached memory values") }
  }
}

extension KeyValueCache {
  /// Keeps a memory in chosen rows.
  public func store(_ memory: EncoderMemory, rows: Indices) throws {
    for (layer, (keys, values)) in zip(memory.keys, memory.values).enumerated() {
      try store(layer: layer, keys: keys.value, values: values.value, rows: rows)
    }
  }
}

/// Decoder sequences end to end, and which rows of the encoder's output each of them sees.
public struct DecoderBatch {
  /// The rows themselves and who attends to whom among them.
  public let rows: PackedBatch
  /// What all rows see of the memory.
  public let memoryLayout: AttentionLayout
  /// What the rows see that the last layer computes, if these are not all.
  public let outputMemoryLayout: AttentionLayout?

  public init(rows: PackedBatch, memoryLayout: AttentionLayout, outputMemoryLayout: AttentionLayout? = nil) {
    self.rows = rows
    self.memoryLayout = memoryLayout
    self.outputMemoryLayout = outputMemoryLayout
  }

  /// Causal sequences, each of which sees a range of the memory.
  ///
  /// - Parameters:
  ///   - prefixLength: rows of per-layer prefixes, which everything sees.
  ///   - memory: for each sequence its rows, in a memory of `memoryCount`.
  public static func causal(
    prefixLength: Int = 0, _ sequences: [PackedSequence], memory: [Range<Int>], memoryCount: Int,
    on backend: any ComputeBackend
  ) throws -> DecoderBatch {
    precondition(sequences.count == memory.count, "a range of memory for each sequence")
    return DecoderBatch(
      rows: try PackedBatch.causal(prefixLength: prefixLength, promptLength: 0, sequences, on: backend),
      memoryLayout: try layout(sequences.map(\.length), memory, memoryCount),
      outputMemoryLayout: try layout(sequences.map(\.outputs), memory, memoryCount))
  }

  /// Consecutive queries, so many for each sequence, that see a range of the memory each.
  public static func layout(_ queries: [Int], _ memory: [Range<Int>], _ memoryCount: Int) throws -> AttentionLayout {
    var row = 0
    let segments = zip(queries, memory).map { count, range in
      defer { row += count }
      return AttentionSegment(queries: row..<row + count, own: range, causal: false)
    }
    return try AttentionLayout(segments: segments, queryCount: row, keyCount: memoryCount)
  }
}
