/// What is added to the scaled scores.
public enum AttentionBias {
  case none
  /// `slopes[head] (key position - query position)` (Press et al., 2022); slopes `[heads]`.
  case alibi(slopes: Tensor)
  /// `table[bucket(key position - query position)][head]` (Raffel et al., 2020); table `[buckets, heads]`.
  case relative(table: Tensor, bidirectional: Bool, maximumDistance: Int)
}

/// The shape of the heads and what modifies the scores.
public struct AttentionAttributes {
  /// Query heads, side by side in a row.
  public var heads: Int
  /// Key and value heads; query head h reads head `h / (heads / keyValueHeads)`.
  public var keyValueHeads: Int
  /// Factor on the scores; `1 / sqrt(head width)` in most models.
  public var scale: Float
  /// Keys at `query position - window` and further behind are not seen.
  public var window: Int?
  public var bias: AttentionBias
  /// A device may round the operands of products to bfloat16, each factor at most once; sums, scores and the softmax
  /// are f32.
  public var mayRoundOperands: Bool

  public init(
    heads: Int, keyValueHeads: Int? = nil, scale: Float, window: Int? = nil, bias: AttentionBias = .none,
    mayRoundOperands: Bool = false
  ) {
    self.heads = heads
    self.keyValueHeads = keyValueHeads ?? heads
    self.scale = scale
    self.window = window
    self.bias = bias
    self.mayRoundOperands = mayRoundOperands
  }
}

/// Attention output and what its backward pass needs.
public struct AttentionResult {
  /// Shape `[Q, heads valueWidth]`.
  public let output: Tensor
  /// Logarithm of the sum of exponentials of each query's scores, `[Q, heads]`; -infinity where nothing is seen.
  public let logSumExp: Tensor

  public init(output: Tensor, logSumExp: Tensor) {
    self.output = output
    self.logSumExp = logSumExp
  }
}

/// The gradients of attention.
public struct AttentionGradients {
  public let q: Tensor
  public let k: Tensor
  public let v: Tensor
  /// Of the relative-position table, `[buckets, heads]`, if there is one and it was asked for.
  public let table: Tensor?

  public init(q: Tensor, k: Tensor, v: Tensor, table: Tensor?) {
    self.q = q
    self.k = k
    self.v = v
    self.table = table
  }
}

/// Scaled dot-product attention over a packed batch.
public protocol AttentionKernels: AnyObject {
  /// `output = softmax(scale q k' + bias) v` over the keys that each query sees; zeros where it sees none.
  ///
  /// - Parameters:
  ///   - q: `[Q, heads width]`.
  ///   - k: `[K, keyValueHeads width]`.
  ///   - v: `[K, keyValueHeads valueWidth]`.
  ///   - output: `[Q, heads valueWidth]`.
  ///   - logSumExp: `[Q, heads]`.
  func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    into output: Tensor, logSumExp: Tensor) throws

  /// Gradients with respect to q, k, v and, where `gradients.table` is present, the relative-position table.
  ///
  /// Every element is written; a key row that nobody sees gets zeros, one that many segments see the sum.
  func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients) throws
}

extension ComputeBackend {
  /// Scaled dot-product attention (Vaswani et al., 2017) over a packed batch, by segments.
  ///
  /// - Parameters:
  ///   - q: `[Q, heads width]`.
  ///   - k: `[K, keyValueHeads width]`.
  ///   - v: `[K, keyValueHeads valueWidth]`.
  public func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes
  ) throws -> AttentionResult {
    let valueWidth = try checkAttention(q, k, v, layout, attributes)
    let result = AttentionResult(
      output: try allocate([q.shape[0], attributes.heads * valueWidth], .f32),
      logSumExp: try allocate([q.shape[0], attributes.heads], .f32))
    if !result.output.isEmpty {
      try attention(q: q, k: k, v: v, layout, attributes, into: result.output, logSumExp: result.logSumExp)
    }
    return result
  }

  /// The gradients of `attention`.
  ///
  /// - Parameters:
  ///   - cotangent: `[Q, heads valueWidth]`.
  ///   - result: what `attention` returned.
  ///   - wantsTable: also compute the gradient of a relative-position table.
  public func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, wantsTable: Bool = false
  ) throws -> AttentionGradients {
    let valueWidth = try checkAttention(q, k, v, layout, attributes)
    try require(cotangent, .f32, "attentionBackward", "the cotangent")
    try require(result.output, .f32, "attentionBackward", "the output")
    try require(result.logSumExp, .f32, "attentionBackward", "logSumExp")
    try requireShape(result.output, [q.shape[0], attributes.heads * valueWidth], "attentionBackward")
    try requireShape(result.logSumExp, [q.shape[0], attributes.heads], "attentionBackward")
    try requireSameShape(cotangent, result.output, "attentionBackward")
    var tableGradient: Tensor?
    if wantsTable, case .relative(let table, _, _) = attributes.bias { tableGradient = try allocate(table.shape, .f32) }
    if cotangent.isEmpty {
      return AttentionGradients(
        q: try zeros(q.shape), k: try zeros(k.shape), v: try zeros(v.shape),
        table: try tableGradient.map { try zeros($0.shape) })
    }
    let gradients = AttentionGradients(
      q: try allocate(q.shape, .f32), k: try allocate(k.shape, .f32), v: try allocate(v.shape, .f32),
      table: tableGradient)
    try attentionBackward(cotangent, q: q, k: k, v: v, result, layout, attributes, into: gradients)
    return gradients
  }

  /// Returns the width of a value head.
  private func checkAttention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes
  ) throws -> Int {
    for (tensor, name) in [(q, "q"), (k, "k"), (v, "v")] { try require(tensor, .f32, "attention", name) }
    let (heads, keyValueHeads) = (attributes.heads, attributes.keyValueHeads)
    guard heads > 0, keyValueHeads > 0, heads % keyValueHeads == 0 else {
      throw ComputeError.invalidArgument(
        operation: "attention", "\(heads) query heads cannot share \(keyValueHeads) key-value heads")
    }
    guard q.shape.rank == 2, k.shape.rank == 2, q.columnCount % heads == 0,
      q.columnCount / heads * keyValueHeads == k.columnCount
    else { throw ComputeError.shapeMismatch(operation: "attention", q.shape, k.shape) }
    guard v.shape.rank == 2, k.shape[0] == v.shape[0], v.columnCount % keyValueHeads == 0 else {
      throw ComputeError.shapeMismatch(operation: "attention", k.shape, v.shape)
    }
    guard layout.queryCount == q.shape[0], layout.keyCount == k.shape[0] else {
      throw ComputeError.invalidArgument(
        operation: "attention",
        "a layout of \(layout.queryCount) queries and \(layout.keyCount) keys for q \(q.shape) and k \(k.shape)")
    }
    switch attributes.bias {
    case .none: break
    case .alibi(let slopes):
      try require(slopes, .f32, "attention", "the slopes")
      try requireShape(slopes, [heads], "attention")
    case .relative(let table, let bidirectional, let maximumDistance):
      try require(table, .f32, "attention", "the table")
      guard table.shape.rank == 2, table.columnCount == heads else {
        throw ComputeError.shapeMismatch(operation: "attention", table.shape, [heads])
      }
      // Half of the buckets of a direction hold one distance each; without any the logarithms have no base.
      let exact = table.shape[0] / (bidirectional ? 4 : 2)
      guard exact > 0, maximumDistance > exact else {
        throw ComputeError.invalidArgument(
          operation: "attention", "\(table.shape[0]) buckets for distances up to \(maximumDistance)")
      }
    }
    return v.columnCount / keyValueHeads
  }
}
