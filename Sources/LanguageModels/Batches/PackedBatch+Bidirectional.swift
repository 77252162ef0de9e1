import Compute

/// Which hidden states of a sequence are wanted.
public enum BidirectionalOutputs: Sendable, Hashable {
  /// Those of every row, the prompt's included.
  case all
  /// That of the first row, which is the prompt's first one if there is a prompt.
  case first
  /// Those of the text, without the prompt's.
  case text
  /// Those of chosen rows of each sequence, counted from the prompt's first one, ascending.
  case rows([[Int]])

  /// The rows of sequences that have no prompt beside their lengths; nil for all of them.
  public func places(in lengths: [Int]) -> [[Int]]? {
    switch self {
    case .all, .text: nil
    case .first: lengths.map { $0 == 0 ? [] : [0] }
    case .rows(let rows): rows
    }
  }
}

extension PackedBatch {
  /// A batch in which every row of a sequence sees all others of the sequence.
  ///
  /// The states of a prompt depend on the text that it stands in front of, so that every sequence has rows of its own
  /// for it: first those of the prompt, then those of the text.
  ///
  /// - Parameters:
  ///   - prefixLength: rows of per-layer prefixes, which everything sees; they take the first positions.
  ///   - promptLength: rows of the prompt in front of each sequence; 0 for none.
  ///   - lengths: tokens of each sequence.
  ///   - outputs: in a model with relative positions all rows, or the last ones of each sequence: those of others would
  ///     be taken for the last.
  ///   - tokenTypes: the type of each token, sequences end to end; nil for type 0. A prompt has type 0.
  public static func bidirectional(
    prefixLength: Int = 0, promptLength: Int, _ lengths: [Int], outputs: BidirectionalOutputs = .all,
    tokenTypes: [Int32]? = nil, on backend: any ComputeBackend
  ) throws -> PackedBatch {
    var positions: [Int32] = []
    var types: [Int32] = []
    var typesLeft = (tokenTypes ?? [])[...]
    var outputRows: [Int32] = []
    var segments: [AttentionSegment] = []
    var outputSegments: [AttentionSegment] = []
    let prefix = prefixLength > 0 ? [0..<prefixLength] : []
    for (number, length) in lengths.enumerated() {
      let rows = positions.count..<positions.count + promptLength + length
      let keys = prefixLength + rows.lowerBound..<prefixLength + rows.upperBound
      segments.append(AttentionSegment(queries: rows, shared: prefix, own: keys, causal: false))
      let wanted: [Int]
      switch outputs {
      case .all: wanted = Array(0..<rows.count)
      case .first: wanted = rows.isEmpty ? [] : [0]
      case .text: wanted = Array(promptLength..<rows.count)
      case .rows(let chosen): wanted = chosen[number]
      }
      let queries = outputRows.count..<outputRows.count + wanted.count
      outputSegments.append(AttentionSegment(queries: queries, shared: prefix, own: keys, causal: false))
      outputRows += wanted.map { Int32(rows.lowerBound + $0) }
      positions += (0..<rows.count).map { Int32(prefixLength + $0) }
      if tokenTypes != nil {
        types += [Int32](repeating: 0, count: promptLength) + typesLeft.prefix(length)
        typesLeft = typesLeft.dropFirst(length)
      }
    }
    let keyCount = prefixLength + positions.count
    let isWhole = outputRows.count == positions.count
    return PackedBatch(
      positions: try backend.indices(positions),
      layout: try AttentionLayout(segments: segments, queryCount: positions.count, keyCount: keyCount),
      outputRows: isWhole ? nil : try backend.indices(outputRows),
      outputLayout: isWhole
        ? nil
        : try AttentionLayout(segments: outputSegments, queryCount: outputRows.count, keyCount: keyCount),
      prefixLength: prefixLength, tokenTypes: tokenTypes == nil ? nil : try backend.indices(types))
  }

  /// For each row of a bidirectional batch, which row it is of the prompt on top of all tokens.
  ///
  /// - Returns: `promptLength` rows of the prompt and then those of the tokens, for each sequence.
  public static func bidirectionalSources(promptLength: Int, _ lengths: [Int]) -> [Int32] {
    var rows: [Int32] = []
    var next = Int32(promptLength)
    for length in lengths {
      rows += (0..<promptLength).map(Int32.init)
      rows += (0..<length).map { next + Int32($0) }
      next += Int32(length)
    }
    return rows
  }
}
