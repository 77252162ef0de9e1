import Compute

/// One sequence of a batch, by its sizes.
public struct PackedSequence: Sendable, Hashable {
  /// How many tokens it has.
  public var length: Int
  /// For how many tokens at its end the hidden states are wanted.
  public var outputs: Int

  public init(length: Int, outputs: Int) {
    self.length = length
    self.outputs = outputs
  }
}

/// Sequences end to end in one matrix, without padding, with who attends to whom beside them.
public struct PackedBatch {
  /// Rows of the matrix.
  public let rowCount: Int
  /// The position of each row, `[rows]`.
  public let positions: Indices
  /// Attention of all rows.
  public let layout: AttentionLayout
  /// The rows whose final hidden states are wanted, ascending; nil for all.
  public let outputRows: Indices?
  /// Attention of those rows alone: the last layer computes no others.
  public let outputLayout: AttentionLayout?
  /// Rows of per-layer prefixes that the layouts count in front of the keys of the batch.
  public let prefixLength: Int
  /// Where in a cache the keys and values of each row go; nil without a cache.
  public let cacheRows: Indices?
  /// The token type of each row, for families that have types; nil where all are 0.
  public let tokenTypes: Indices?

  public init(
    positions: Indices, layout: AttentionLayout, outputRows: Indices? = nil, outputLayout: AttentionLayout? = nil,
    prefixLength: Int = 0, cacheRows: Indices? = nil, tokenTypes: Indices? = nil
  ) {
    rowCount = positions.count
    self.positions = positions
    self.layout = layout
    self.outputRows = outputRows
    self.outputLayout = outputLayout
    self.prefixLength = prefixLength
    self.cacheRows = cacheRows
    self.tokenTypes = tokenTypes
  }

  /// A causal batch with one shared prompt in front.
  ///
  /// The prompt's states do not depend on what follows, so it stands there once, in rows `0..<promptLength`, and every
  /// sequence attends to its keys and values; the gradients of those add up. Exact for causal models.
  ///
  /// - Parameters:
  ///   - prefixLength: rows of per-layer prefixes, which everything sees; they take the first positions.
  ///   - promptLength: rows of the prompt; 0 for none.
  ///   - sequences: rows that follow, in order.
  public static func causal(
    prefixLength: Int = 0, promptLength: Int, _ sequences: [PackedSequence], on backend: any ComputeBackend
  ) throws -> PackedBatch {
    var positions = (0..<promptLength).map { Int32(prefixLength + $0) }
    var segments: [AttentionSegment] = []
    var outputSegments: [AttentionSegment] = []
    var outputRows: [Int32] = []
    // Keys of the batch lie behind those of the prefixes.
    func keys(_ rows: Range<Int>) -> Range<Int> { prefixLength + rows.lowerBound..<prefixLength + rows.upperBound }
    let prefix = prefixLength > 0 ? [0..<prefixLength] : []
    let prompt = 0..<promptLength
    if promptLength > 0 {
      segments.append(AttentionSegment(queries: prompt, shared: prefix, own: keys(prompt), causal: true))
    }
    let shared = promptLength > 0 ? prefix + [keys(prompt)] : prefix
    for sequence in sequences {
      let own = positions.count..<positions.count + sequence.length
      segments.append(AttentionSegment(queries: own, shared: shared, own: keys(own), causal: true))
      let queries = outputRows.count..<outputRows.count + sequence.outputs
      outputSegments.append(AttentionSegment(queries: queries, shared: shared, own: keys(own), causal: true))
      outputRows += (own.upperBound - sequence.outputs..<own.upperBound).map(Int32.init)
      positions += (0..<sequence.length).map { Int32(prefixLength + promptLength + $0) }
    }
    let (rows, keyCount) = (positions.count, prefixLength + positions.count)
    return PackedBatch(
      positions: try backend.indices(positions),
      layout: try AttentionLayout(segments: segments, queryCount: rows, keyCount: keyCount),
      outputRows: try backend.indices(outputRows),
      outputLayout: try AttentionLayout(segments: outputSegments, queryCount: outputRows.count, keyCount: keyCount),
      prefixLength: prefixLength)
  }

  /// One sequence whose keys and values go to rows of a cache, behind those that stand there.
  ///
  /// The hidden state of its last token alone is computed to the end.
  ///
  /// - Parameters:
  ///   - rows: of the cache, which are the positions too; the sequence sees all rows in front of them.
  ///   - keyCount: rows of the cache.
  public static func storing(_ rows: Range<Int>, keyCount: Int, on backend: any ComputeBackend) throws -> PackedBatch {
    let places = try backend.indices(rows.map(Int32.init))
    func layout(queries: Int) throws -> AttentionLayout {
      try AttentionLayout(
        segments: [AttentionSegment(queries: 0..<queries, own: 0..<rows.upperBound, causal: true)],
        queryCount: queries, keyCount: keyCount)
    }
    return PackedBatch(
      positions: places, layout: try layout(queries: rows.count),
      outputRows: try backend.indices([Int32(rows.count - 1)]), outputLayout: try layout(queries: 1),
      cacheRows: places)
  }
}
