/// Softmax over rows.
public protocol SoftmaxKernels: AnyObject {
  /// `output = softmax(scale X + mask)` over each row.
  ///
  /// A row with everything masked (-infinity) gives zeros.
  ///
  /// - Parameters:
  ///   - x: `[rows, n]`.
  ///   - mask: additive, the shape of `x`.
  ///   - output: the shape of `x`; may be `x` itself.
  func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws

  /// `output = scale y (cotangent - sum(cotangent y))`, row by row, where `y` is the softmax.
  ///
  /// - Parameter output: may be `cotangent` itself.
  func softmaxBackward(_ cotangent: Tensor, y: Tensor, scale: Float, into output: Tensor) throws
}

extension ComputeBackend {
  /// `softmax(scale X + mask)` over the last dimension.
  ///
  /// - Parameters:
  ///   - x: `[.., n]`.
  ///   - mask: additive, the shape of `x`; 0 or -infinity.
  /// - Returns: the shape of `x`; a row with everything masked gives zeros.
  public func softmax(_ x: Tensor, mask: Tensor? = nil, scale: Float = 1) throws -> Tensor {
    try require(x, .f32, "softmax", "X")
    if let mask {
      try require(mask, .f32, "softmax", "the mask")
      try requireSameShape(x, mask, "softmax")
    }
    let output = try allocate(x.shape, .f32)
    if !output.isEmpty { try softmax(x, mask: mask, scale: scale, into: output) }
    return output
  }

  /// The gradient of `softmax` with respect to X.
  ///
  /// - Parameters:
  ///   - cotangent: the shape of `y`.
  ///   - y: what `softmax` returned.
  public func softmaxBackward(_ cotangent: Tensor, y: Tensor, scale: Float = 1) throws -> Tensor {
    try require(cotangent, .f32, "softmaxBackward", "the cotangent")
    try require(y, .f32, "softmaxBackward", "the softmax")
    try requireSameShape(cotangent, y, "softmaxBackward")
    let output = try allocate(y.shape, .f32)
    if !output.isEmpty { try softmaxBackward(cotangent, y: y, scale: scale, into: output) }
    return output
  }
}
