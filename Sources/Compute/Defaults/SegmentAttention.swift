/// One segment of attention, head by head, made of products and row operations.
///
/// The default bodies of `attention` and `attentionBackward` are built on it. Which pairs of query and key do not see
/// each other, and the distances between them, are listed on the host once per segment.
struct SegmentAttention {
  /// What is added to the scaled scores of `[queries, keys]`.
  private enum Bias {
    case none
    case alibi(distances: Tensor, slopes: [Float])
    /// The table's row of each pair, `[queries keys, heads]`.
    case relative(Tensor)
  }

  let queryCount: Int
  let keyCount: Int
  /// The bucket of each pair, `[queries keys]`, if there is a table of relative positions.
  let buckets: Indices?
  private let backend: any ComputeBackend
  private let keyRanges: [Range<Int>]
  private let scale: Float
  private let bias: Bias
  /// Places in `[queries, keys]` of the pairs that do not see each other.
  private let hidden: Indices?
  /// Queries that see nothing.
  private let blind: Indices?

  /// - Throws: `ComputeError.unsupported` for more than 2^31 - 1 pairs.
  init(_ backend: any ComputeBackend, _ segment: AttentionSegment, _ attributes: AttentionAttributes) throws {
    self.backend = backend
    keyRanges = (segment.shared + [segment.own]).filter { !$0.isEmpty }
    (queryCount, keyCount) = (segment.queries.count, keyRanges.reduce(0) { $0 + $1.count })
    scale = attributes.scale
    let (queryCount, keyCount) = (queryCount, keyCount)
    let (count, overflow) = queryCount.multipliedReportingOverflow(by: keyCount)
    guard !overflow, Int32(exactly: count) != nil else {
      throw ComputeError.unsupported(
        operation: "attention", "the default body counts pairs in 32 bits, not \(queryCount) times \(keyCount)")
    }

    var (hiddenPlaces, blindQueries): ([Int32], [Int32]) = ([], [])
    for query in 0..<queryCount {
      let position = segment.firstQueryPosition + query
      let before = hiddenPlaces.count
      for key in 0..<keyCount {
        let isAhead = segment.causal && key >= segment.sharedCount && key > position
        let isBehind = attributes.window.map { key <= position - $0 } ?? false
        if isAhead || isBehind { hiddenPlaces.append(Int32(query * keyCount + key)) }
      }
      if hiddenPlaces.count - before == keyCount { blindQueries.append(Int32(query)) }
    }
    hidden = hiddenPlaces.isEmpty ? nil : try backend.indices(hiddenPlaces)
    blind = blindQueries.isEmpty ? nil : try backend.indices(blindQueries)

    func pairs<Value>(_ value: (Int) -> Value) -> [Value] {
      (0..<count).map { value($0 % keyCount - segment.firstQueryPosition - $0 / keyCount) }
    }
    switch attributes.bias {
    case .none: (bias, buckets) = (.none, nil)
    case .alibi(let slopes):
      let distances = try backend.tensor(pairs { Float($0) }, [queryCount, keyCount])
      (bias, buckets) = (.alibi(distances: distances, slopes: try backend.values(slopes)), nil)
    case .relative(let table, let bidirectional, let maximumDistance):
      let buckets = try backend.indices(
        pairs {
          Int32(
            RelativePosition.bucket(
              distance: $0, bidirectional: bidirectional, buckets: table.shape[0], maximumDistance: maximumDistance))
        })
      (bias, self.buckets) = (.relative(try backend.gatherRows(table, buckets)), buckets)
    }
  }

  /// The segment's rows of k or v, `[keys, n]`, in the order of their positions.
  func gather(_ rows: Tensor) throws -> Tensor {
    if keyRanges.count == 1 { return try rows.rows(keyRanges[0]) }
    return try backend.concatRows(keyRanges.map { try rows.rows($0) })
  }

  /// Adds what `gather` would read, `[keys, n]`, onto the rows that it would read it from.
  func addBack(_ part: Tensor, onto rows: Tensor) throws {
    var start = 0
    for range in keyRanges {
      try backend.addScaled(try part.rows(start..<start + range.count), 1, onto: try rows.rows(range))
      start += range.count
    }
  }

  /// The scores of one head with what is hidden at -infinity, `[queries, keys]`.
  ///
  /// - Parameters:
  ///   - q: `[queries, width]`.
  ///   - k: `[keys, width]`.
  func scores(head: Int, q: Tensor, k: Tensor) throws -> Tensor {
    let scores = try backend.matmul(q, k, MatmulOptions(transposeB: true, alpha: scale))
    switch bias {
    case .none: break
    case .alibi(let distances, let slopes): try backend.addScaled(distances, slopes[head], onto: scores)
    case .relative(let values):
      let column = try backend.columns(head..<head + 1, of: values)
      try backend.add(scores, try column.reshaped(scores.shape), into: scores)
    }
    try hide(scores, as: -.infinity)
    return scores
  }

  /// The logarithm of the sum of the exponentials of each row of scores, `[queries, 1]`.
  func logSumExp(_ scores: Tensor) throws -> Tensor {
    let ignored = try backend.indices([Int32](repeating: -1, count: queryCount))
    let result = try backend.crossEntropy(scores, ignored, ignoreIndex: -1).logSumExp.reshaped([queryCount, 1])
    if let blind { try write(-.infinity, at: blind, of: result) }
    return result
  }

  /// Turns scores into weights in place: zeros where nothing is seen, even in a row with a NaN.
  func softmax(_ scores: Tensor) throws {
    try backend.softmax(scores, mask: nil, scale: 1, into: scores)
    try hide(scores, as: 0)
  }

  /// Turns the gradient of the weights into that of the scores in place.
  func softmaxBackward(_ cotangent: Tensor, weights: Tensor) throws {
    try backend.softmaxBackward(cotangent, y: weights, scale: 1, into: cotangent)
    try hide(cotangent, as: 0)
  }

  private func hide(_ pairs: Tensor, as value: Float) throws {
    if let hidden { try write(value, at: hidden, of: try pairs.reshaped([pairs.count, 1])) }
  }

  /// Writes one value to elements of a column `[count, 1]`.
  private func write(_ value: Float, at places: Indices, of column: Tensor) throws {
    let values = try backend.allocate([places.count, 1], .f32)
    try backend.fill(values, with: value)
    try backend.scatterRows(values, places, into: column)
  }
}
