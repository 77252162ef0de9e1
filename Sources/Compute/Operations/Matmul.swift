/// The sizes and attributes of one matrix product, checked:
/// `output = activation(alpha op(A) op(B) + beta C + bias)`.
public struct MatmulProblem: Hashable, Sendable {
  /// Number of products; each operand's matrices lie one behind another.
  public var batch: Int
  /// Rows of op(A) and of the output.
  public var m: Int
  /// Columns of op(B) and of the output.
  public var n: Int
  /// Length of the sums; may be 0.
  public var k: Int
  /// A is stored `[k, m]`.
  public var transposeA: Bool
  /// B is stored `[n, k]`.
  public var transposeB: Bool
  /// One B serves every product of the batch.
  public var sharedB: Bool
  public var alpha: Float
  public var beta: Float
  public var activation: Activation?
  /// B never changes while its storage lives, so the backend may repack it once and keep the result with the storage.
  public var frozen: Bool
  /// Operands are rounded to bfloat16 before they are multiplied; sums stay in f32.
  public var roundsOperands: Bool
}

/// The matrix product.
public protocol MatmulKernels: AnyObject {
  /// - Parameters:
  ///   - a: `f32`, `[batch, m, k]` or `[batch, k, m]`.
  ///   - b: `f32`, `bf16` or `f16`, `[batch, k, n]` or `[batch, n, k]`; without the batch if shared.
  ///   - bias: `f32`, `[n]`.
  ///   - addend: C, `f32`, `[batch, m, n]`.
  ///   - output: `f32`, `[batch, m, n]`; may be the same tensor as `addend`.
  func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor) throws
}

/// How a matrix product is to be computed.
///
/// The defaults give `A B`.
public struct MatmulOptions: Hashable, Sendable {
  public var transposeA = false
  public var transposeB = false
  public var alpha: Float = 1
  public var beta: Float = 1
  public var activation: Activation?
  public var frozen = false
  public var roundsOperands = false

  public init(
    transposeA: Bool = false, transposeB: Bool = false, alpha: Float = 1, beta: Float = 1,
    activation: Activation? = nil, frozen: Bool = false, roundsOperands: Bool = false
  ) {
    self.transposeA = transposeA
    self.transposeB = transposeB
    self.alpha = alpha
    self.beta = beta
    self.activation = activation
    self.frozen = frozen
    self.roundsOperands = roundsOperands
  }
}

extension ComputeBackend {
  /// `activation(alpha op(A) op(B) + beta C + bias)`, accumulated in f32.
  ///
  /// - Parameters:
  ///   - a: `[.., M, K]`, or `[.., K, M]` with `transposeA`; f32.
  ///   - b: `[.., K, N]`, or `[.., N, K]` with `transposeB`; the same leading sizes as A or none; f32, bf16 or f16.
  ///   - bias: `[N]`.
  ///   - addend: C, `[.., M, N]`.
  /// - Returns: `[.., M, N]`.
  /// - Throws: `ComputeError` for shapes or types that do not fit.
  public func matmul(
    _ a: Tensor, _ b: Tensor, _ options: MatmulOptions = MatmulOptions(), bias: Tensor? = nil, addend: Tensor? = nil
  ) throws -> Tensor {
    let (problem, shape) = try matmulProblem(a, b, options, bias: bias, addend: addend)
    let output = try allocate(shape, .f32)
    if !output.isEmpty { try matmul(problem, a, b, bias: bias, addend: addend, into: output) }
    return output
  }

  /// As `matmul`, but adds the product to `accumulator` in place: `accumulator += alpha op(A) op(B)`.
  public func accumulateMatmul(_ a: Tensor, _ b: Tensor, _ options: MatmulOptions, onto accumulator: Tensor) throws {
    var options = options
    options.beta = 1
    let (problem, _) = try matmulProblem(a, b, options, bias: nil, addend: accumulator)
    if !accumulator.isEmpty { try matmul(problem, a, b, bias: nil, addend: accumulator, into: accumulator) }
  }

  private func matmulProblem(
    _ a: Tensor, _ b: Tensor, _ options: MatmulOptions, bias: Tensor?, addend: Tensor?
  ) throws -> (MatmulProblem, Shape) {
    try require(a, .f32, "matmul", "A")
    guard b.dtype.isFloatingPoint else {
      throw ComputeError.unsupportedDType(operation: "matmul", argument: "B", b.dtype)
    }
    let leading = a.shape.dimensions.dropLast(2)
    let sharedB = b.shape.rank == 2
    guard a.shape.rank >= 2, b.shape.rank >= 2, sharedB || b.shape.dimensions.dropLast(2) == leading else {
      throw ComputeError.shapeMismatch(operation: "matmul", a.shape, b.shape)
    }
    let (aRows, aColumns) = (a.shape[a.shape.rank - 2], a.shape.columns)
    let (bRows, bColumns) = (b.shape[b.shape.rank - 2], b.shape.columns)
    let (m, k) = options.transposeA ? (aColumns, aRows) : (aRows, aColumns)
    let (kOfB, n) = options.transposeB ? (bColumns, bRows) : (bRows, bColumns)
    guard k == kOfB else { throw ComputeError.shapeMismatch(operation: "matmul", a.shape, b.shape) }
    let shape = Shape(leading + [m, n])
    if let bias {
      try require(bias, .f32, "matmul", "the bias")
      try requireShape(bias, [n], "matmul")
    }
    if let addend {
      try require(addend, .f32, "matmul", "C")
      try requireShape(addend, shape, "matmul")
    }
    var problem = MatmulProblem(
      batch: leading.reduce(1, *), m: m, n: n, k: k, transposeA: options.transposeA, transposeB: options.transposeB,
      sharedB: sharedB, alpha: options.alpha, beta: options.beta, activation: options.activation,
      frozen: options.frozen, roundsOperands: options.roundsOperands)
    if sharedB, !options.transposeA {  // one tall product is the same thing
      problem.m *= problem.batch
      problem.batch = 1
    }
    return (problem, shape)
  }

  /// The gradient of `matmul` (without activation) with respect to A.
  ///
  /// Needs B only.
  ///
  /// - Parameter cotangent: `[.., M, N]`.
  /// - Returns: the shape of A.
  public func matmulBackwardA(_ cotangent: Tensor, _ b: Tensor, _ options: MatmulOptions) throws -> Tensor {
    if options.transposeA {
      guard b.dtype == .f32 else {
        throw ComputeError.unsupportedDType(operation: "matmulBackwardA", argument: "B with a transposed A", b.dtype)
      }
      if b.shape.rank == 2, cotangent.shape.rank > 2 {
        return try matmulOverBatch(b, cotangent, sharedFirst: true) {
          try matmul($0, $1, MatmulOptions(transposeA: options.transposeB, transposeB: true, alpha: options.alpha))
        }
      }
      return try matmul(
        b, cotangent, MatmulOptions(transposeA: options.transposeB, transposeB: true, alpha: options.alpha))
    }
    return try matmul(
      cotangent, b,
      MatmulOptions(
        transposeB: !options.transposeB, alpha: options.alpha, frozen: options.frozen,
        roundsOperands: options.roundsOperands))
  }

  /// The gradient of `matmul` (without activation) with respect to B, summed over the batch if B is shared.
  ///
  /// - Parameters:
  ///   - cotangent: `[.., M, N]`.
  ///   - shared: B has no leading sizes.
  /// - Returns: the shape of B.
  public func matmulBackwardB(_ cotangent: Tensor, _ a: Tensor, _ options: MatmulOptions, shared: Bool) throws
    -> Tensor
  {
    var (a, cotangent) = (a, cotangent)
    if shared, a.shape.rank > 2 {
      if options.transposeA {
        return try sumOverBatch(a, cotangent) { try matmulBackwardB($1, $0, options, shared: true) }
      }
      a = try a.reshaped([a.rowCount, a.columnCount])
      cotangent = try cotangent.reshaped([cotangent.rowCount, cotangent.columnCount])
    }
    if options.transposeB {
      return try matmul(
        cotangent, a, MatmulOptions(transposeA: true, transposeB: options.transposeA, alpha: options.alpha))
    }
    return try matmul(a, cotangent, MatmulOptions(transposeA: !options.transposeA, alpha: options.alpha))
  }

  /// The i-th matrix of a batch.
  private func matrix(_ tensor: Tensor, _ index: Int) -> Tensor {
    let rank = tensor.shape.rank
    let shape: Shape = [tensor.shape[rank - 2], tensor.shape[rank - 1]]
    return Tensor(
      storage: tensor.storage, offset: tensor.offset + index * shape.count, shape: shape, dtype: tensor.dtype)
  }

  private func matmulOverBatch(
    _ first: Tensor, _ second: Tensor, sharedFirst: Bool, _ product: (Tensor, Tensor) throws -> Tensor
  ) throws -> Tensor {
    let leading = second.shape.dimensions.dropLast(2)
    var parts: [Tensor] = []
    for index in 0..<leading.reduce(1, *) {
      parts.append(try product(sharedFirst ? first : matrix(first, index), matrix(second, index)))
    }
    guard let part = parts.first else {
      return try allocate(Shape(leading + [0, 0]), .f32)
    }
    return try concatRows(parts).reshaped(Shape(leading + part.shape.dimensions))
  }

  private func sumOverBatch(
    _ first: Tensor, _ second: Tensor, _ product: (Tensor, Tensor) throws -> Tensor
  ) throws -> Tensor {
    let batch = first.shape.dimensions.dropLast(2).reduce(1, *)
    guard batch > 0 else {
      throw ComputeError.invalidArgument(operation: "matmulBackwardB", "an empty batch has no gradient")
    }
    let sum = try product(matrix(first, 0), matrix(second, 0))
    for index in 1..<batch {
      try addScaled(try product(matrix(first, index), matrix(second, index)), 1, onto: sum)
    }
    return sum
  }
}
