extension ComputeBackend {
  /// The default body: `rstd (g - mean(g) - h mean(g h))` step by step, the means by matrix products.
  public func layerNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, into output: Tensor
  ) throws {
    let output = try asMatrix(output)
    let part = 1 / Float(x.columnCount)
    let g = try multiply(try asMatrix(cotangent), weight)
    let h = try normalized(x, mean: mean, rstd: rstd)
    let meanG = try rowSums(g, factor: part)
    let meanGH = try rowDots(g, h, factor: part)
    try scaleRows(h, by: meanGH, into: h)
    try subtract(meanG, fromRowsOf: g, into: g)
    try addScaled(h, by: -1, onto: g)
    try scaleRows(g, by: rstd, into: output)
  }

  /// The default body: the column sums of `cotangent h` and of the cotangent.
  public func layerNormBackwardParameters(
    _ cotangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor?
  ) throws {
    let cotangent = try asMatrix(cotangent)
    let h = try normalized(x, mean: mean, rstd: rstd)
    try multiply(h, cotangent, into: h)
    try columnSums(h, into: weight)
    if let bias { try columnSums(cotangent, into: bias) }
  }

  /// The default body: `rstd (g - h mean(g h))` step by step, the mean by a matrix product.
  public func rmsNormBackward(_ cotangent: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, into output: Tensor) throws
  {
    let output = try asMatrix(output)
    let g = try multiply(try asMatrix(cotangent), weight)
    let h = try scaleRows(try asMatrix(x), by: rstd)
    try scaleRows(h, by: try rowDots(g, h, factor: 1 / Float(x.columnCount)), into: h)
    try addScaled(h, by: -1, onto: g)
    try scaleRows(g, by: rstd, into: output)
  }

  /// The default body: the column sums of `cotangent X rstd`.
  public func rmsNormBackwardWeight(_ cotangent: Tensor, x: Tensor, rstd: Tensor, into output: Tensor) throws {
    let h = try scaleRows(try asMatrix(x), by: rstd)
    try multiply(h, try asMatrix(cotangent), into: h)
    try columnSums(h, into: output)
  }

  /// `(X - mean) rstd` as a matrix `[rows, n]`.
  private func normalized(_ x: Tensor, mean: Tensor, rstd: Tensor) throws -> Tensor {
    let x = try asMatrix(x)
    let h = try allocate(x.shape, .f32)
    try subtract(mean, fromRowsOf: x, into: h)
    try scaleRows(h, by: rstd, into: h)
    return h
  }
}
