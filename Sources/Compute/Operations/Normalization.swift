/// Layer normalisation and root-mean-square normalisation over rows.
public protocol NormalizationKernels: AnyObject {
  /// `output = (X - mean) rstd weight + bias`, with `rstd = 1 / sqrt(variance + epsilon)`, the variance over n
  /// (not n - 1) and computed from the centred values.
  ///
  /// - Parameters:
  ///   - x: `[rows, n]`.
  ///   - weight: `[n]`.
  ///   - bias: `[n]`.
  ///   - mean: receives `[rows]`.
  ///   - rstd: receives `[rows]`.
  func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor) throws

  /// The gradient with respect to X: with `g = cotangent weight` and `h = (X - mean) rstd`,
  /// `rstd (g - mean(g) - h mean(g h))`, means over the row.
  func layerNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, into output: Tensor) throws

  /// The gradients with respect to weight (`sum over rows of cotangent h`) and bias (`sum over rows of cotangent`).
  func layerNormBackwardParameters(
    _ cotangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor?) throws

  /// `output = X rstd weight`, with `rstd = 1 / sqrt(mean(X^2) + epsilon)`.
  func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, into output: Tensor, rstd: Tensor) throws

  /// The gradient with respect to X: with `g = cotangent weight` and `h = X rstd`, `rstd (g - h mean(g h))`.
  func rmsNormBackward(_ cotangent: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, into output: Tensor) throws

  /// The gradient with respect to weight: `sum over rows of cotangent X rstd`.
  func rmsNormBackwardWeight(_ cotangent: Tensor, x: Tensor, rstd: Tensor, into output: Tensor) throws
}

/// What layer normalisation keeps for its backward pass.
public struct LayerNormResult {
  /// The shape of the input.
  public let output: Tensor
  /// Shape `[rows]`.
  public let mean: Tensor
  /// `1 / sqrt(variance + epsilon)`, `[rows]`.
  public let rstd: Tensor
}

/// What root-mean-square normalisation keeps for its backward pass.
public struct RMSNormResult {
  /// The shape of the input.
  public let output: Tensor
  /// `1 / sqrt(mean square + epsilon)`, `[rows]`.
  public let rstd: Tensor
}

extension ComputeBackend {
  /// Layer normalisation over the last dimension (Ba et al., 2016).
  ///
  /// - Parameters:
  ///   - x: `[.., n]`, n at least 1.
  ///   - weight: `[n]`.
  ///   - bias: `[n]`.
  public func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float = 1e-5) throws -> LayerNormResult {
    try requireNormalizable(x, weight, "layerNorm")
    if let bias {
      try require(bias, .f32, "layerNorm", "the bias")
      try requireShape(bias, weight.shape, "layerNorm")
    }
    let result = LayerNormResult(
      output: try allocate(x.shape, .f32), mean: try allocate([x.rowCount], .f32),
      rstd: try allocate([x.rowCount], .f32))
    if !x.isEmpty {
      try layerNorm(
        x, weight: weight, bias: bias, epsilon: epsilon, into: result.output, mean: result.mean, rstd: result.rstd)
    }
    return result
  }

  /// The gradient of `layerNorm` with respect to X; the shape of X.
  public func layerNormBackward(_ cotangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor) throws
    -> Tensor
  {
    try requireNormalized(cotangent, x, statistics: [mean, rstd], "layerNormBackward")
    try requireNormalizable(x, weight, "layerNormBackward")
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty {
      try layerNormBackward(cotangent, x: x, weight: weight, mean: mean, rstd: rstd, into: output)
    }
    return output
  }

  /// The gradients of `layerNorm` with respect to weight and bias, each `[n]`.
  public func layerNormBackwardParameters(_ cotangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor) throws
    -> (weight: Tensor, bias: Tensor)
  {
    try requireNormalized(cotangent, x, statistics: [mean, rstd], "layerNormBackwardParameters")
    if x.isEmpty { return (try zeros([x.columnCount]), try zeros([x.columnCount])) }
    let weight = try allocate([x.columnCount], .f32)
    let bias = try allocate([x.columnCount], .f32)
    try layerNormBackwardParameters(cotangent, x: x, mean: mean, rstd: rstd, weight: weight, bias: bias)
    return (weight, bias)
  }

  /// Root-mean-square normalisation over the last dimension (Zhang and Sennrich, 2019).
  ///
  /// - Parameters:
  ///   - x: `[.., n]`, n at least 1.
  ///   - weight: `[n]`.
  public func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float = 1e-5) throws -> RMSNormResult {
    try requireNormalizable(x, weight, "rmsNorm")
    let result = RMSNormResult(output: try allocate(x.shape, .f32), rstd: try allocate([x.rowCount], .f32))
    if !x.isEmpty { try rmsNorm(x, weight: weight, epsilon: epsilon, into: result.output, rstd: result.rstd) }
    return result
  }

  /// The gradient of `rmsNorm` with respect to X; the shape of X.
  public func rmsNormBackward(_ cotangent: Tensor, x: Tensor, weight: Tensor, rstd: Tensor) throws -> Tensor {
    try requireNormalized(cotangent, x, statistics: [rstd], "rmsNormBackward")
    try requireNormalizable(x, weight, "rmsNormBackward")
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty { try rmsNormBackward(cotangent, x: x, weight: weight, rstd: rstd, into: output) }
    return output
  }

  /// The gradient of `rmsNorm` with respect to weight, `[n]`.
  public func rmsNormBackwardWeight(_ cotangent: Tensor, x: Tensor, rstd: Tensor) throws -> Tensor {
    try requireNormalized(cotangent, x, statistics: [rstd], "rmsNormBackwardWeight")
    if x.isEmpty { return try zeros([x.columnCount]) }
    let output = try allocate([x.columnCount], .f32)
    try rmsNormBackwardWeight(cotangent, x: x, rstd: rstd, into: output)
    return output
  }

  /// What every backward pass is given: a cotangent like X, and one number per row for each statistic.
  private func requireNormalized(_ cotangent: Tensor, _ x: Tensor, statistics: [Tensor], _ operation: String) throws {
    try require(cotangent, .f32, operation, "the cotangent")
    try require(x, .f32, operation, "X")
    try requireSameShape(cotangent, x, operation)
    for statistic in statistics {
      try require(statistic, .f32, operation, "a statistic")
      try requireShape(statistic, [x.rowCount], operation)
    }
  }

  private func requireNormalizable(_ x: Tensor, _ weight: Tensor, _ operation: String) throws {
    try require(x, .f32, operation, "X")
    try require(weight, .f32, operation, "the weight")
    guard x.columnCount > 0, weight.shape == [x.columnCount] else {
      throw ComputeError.shapeMismatch(operation: operation, x.shape, weight.shape)
    }
  }
}
