/// Sums along rows and terms constant along rows, as matrix products: what the default bodies are made of.
extension ComputeBackend {
  /// A tensor of ones.
  func ones(_ shape: Shape) throws -> Tensor {
    let tensor = try allocate(shape, .f32)
    if !tensor.isEmpty { try fill(tensor, with: 1) }
    return tensor
  }

  /// The same elements as a matrix `[rows, n]`.
  func asMatrix(_ x: Tensor) throws -> Tensor { try x.reshaped([x.rowCount, x.columnCount]) }

  /// `factor sum over j of a[r, j] b[r, j]` for each row of matrices `[rows, n]`: `[rows]`.
  func rowDots(_ a: Tensor, _ b: Tensor, factor: Float = 1) throws -> Tensor {
    try rowSums(try multiply(a, b), factor: factor)
  }

  /// `factor sum over j of x[r, j]` for each row of a matrix `[rows, n]`: `[rows]`.
  func rowSums(_ x: Tensor, factor: Float = 1) throws -> Tensor {
    let sums = try matmul(x, try ones([x.columnCount, 1]), MatmulOptions(alpha: factor))
    return try sums.reshaped([x.rowCount])
  }

  /// `output[r, j] = x[r, j] - terms[r]` for a matrix `[rows, n]`; `output` may be `x` itself.
  func subtract(_ terms: Tensor, fromRowsOf x: Tensor, into output: Tensor) throws {
    // A product with one column and one row, added onto x.
    let problem = MatmulProblem(
      batch: 1, m: x.rowCount, n: x.columnCount, k: 1, transposeA: false, transposeB: false, sharedB: true, alpha: -1,
      beta: 1, activation: nil, frozen: false, roundsOperands: false)
    let column = try terms.reshaped([x.rowCount, 1])
    try matmul(problem, column, try ones([1, x.columnCount]), bias: nil, addend: x, into: output)
  }

  /// Whether two tensors are the same memory.
  func isSameMemory(_ a: Tensor, _ b: Tensor) -> Bool { a.storage === b.storage && a.offset == b.offset }
}
