/// Sums, products and scaling, element by element.
public protocol ElementwiseKernels: AnyObject {
  /// `output = a + b`.
  ///
  /// `b` has the shape of `a`, or is one row `[n]` that is added to every row of `a`. `output` may be `a` itself.
  func add(_ a: Tensor, _ b: Tensor, into output: Tensor) throws

  /// `output = a b`, with the same shapes as `add`.
  ///
  /// `output` may be `a` itself.
  func multiply(_ a: Tensor, _ b: Tensor, into output: Tensor) throws

  /// `output = factor x`; `output` may be `x` itself.
  func scale(_ x: Tensor, by factor: Float, into output: Tensor) throws

  /// `accumulator += factor x`.
  func addScaled(_ x: Tensor, by factor: Float, onto accumulator: Tensor) throws

  /// `output[r, j] = x[r, j] factors[r]`: every row by a number of its own; `output` may be `x` itself.
  func scaleRows(_ x: Tensor, by factors: Tensor, into output: Tensor) throws
}

extension ComputeBackend {
  /// `a + b`; `b` has the shape of `a` or is a row `[n]` for every row of `a` `[.., n]`.
  public func add(_ a: Tensor, _ b: Tensor) throws -> Tensor {
    try requireBroadcastable(a, b, "add")
    let output = try allocate(a.shape, .f32)
    if !a.isEmpty { try add(a, b, into: output) }
    return output
  }

  /// `a b`; `b` has the shape of `a` or is a row `[n]` for every row of `a` `[.., n]`.
  public func multiply(_ a: Tensor, _ b: Tensor) throws -> Tensor {
    try requireBroadcastable(a, b, "multiply")
    let output = try allocate(a.shape, .f32)
    if !a.isEmpty { try multiply(a, b, into: output) }
    return output
  }

  /// `factor x`, any shape.
  public func scale(_ x: Tensor, by factor: Float) throws -> Tensor {
    try require(x, .f32, "scale", "X")
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty { try scale(x, by: factor, into: output) }
    return output
  }

  /// `accumulator += factor x`, in place; both of one shape.
  public func addScaled(_ x: Tensor, _ factor: Float, onto accumulator: Tensor) throws {
    try require(x, .f32, "addScaled", "X")
    try require(accumulator, .f32, "addScaled", "the accumulator")
    try requireSameShape(x, accumulator, "addScaled")
    if !x.isEmpty { try addScaled(x, by: factor, onto: accumulator) }
  }

  /// Every row of `x` `[rows, n]` times its own factor `[rows]`.
  public func scaleRows(_ x: Tensor, by factors: Tensor) throws -> Tensor {
    try require(x, .f32, "scaleRows", "X")
    try require(factors, .f32, "scaleRows", "the factors")
    try requireShape(factors, [x.rowCount], "scaleRows")
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty { try scaleRows(x, by: factors, into: output) }
    return output
  }

  func requireBroadcastable(_ a: Tensor, _ b: Tensor, _ operation: String) throws {
    try require(a, .f32, operation, "the first operand")
    try require(b, .f32, operation, "the second operand")
    guard a.shape == b.shape || (b.shape.rank == 1 && b.shape[0] == a.columnCount) else {
      throw ComputeError.shapeMismatch(operation: operation, a.shape, b.shape)
    }
  }
}
