import Compute

/// The arguments of one product, passed on between the forms of the kernel.
struct MatmulOperands {
  var a: Tensor
  var b: Tensor
  var bias: Tensor?
  var addend: Tensor?
  var output: Tensor
}

extension OpenCLBackend {
  public func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    var operands = MatmulOperands(a: a, b: b, bias: bias, addend: addend, output: output)
    guard variant == .cpu, problem.k > 0 else { return try plainMatmul(problem, operands) }
    if problem.roundsOperands {
      operands.a = try allocate(a.shape, .f32)
      try round(a, into: operands.a)
    }
    try tiledMatmul(problem, operands)
  }

  private func plainMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands) throws {
    let program = ProgramKey(
      file: "matmul_plain.cl",
      parameters: ["B_TYPE": operands.b.dtype.operandNumber, "ROUNDED": problem.roundsOperands ? 1 : 0])
    let local = min(64, openCLDevice.maximumWorkGroup)
    let strides = MatmulStrides(problem)
    try run(
      program, "matmul_plain", groups: [(problem.n + local - 1) / local, problem.m, problem.batch],
      local: [local, 1, 1],
      [
        .tensor(operands.a), .tensor(operands.b), .optional(operands.bias), .optional(operands.addend),
        .tensor(operands.output), .int(problem.m), .int(problem.n), .int(problem.k), .size(strides.aRow),
        .size(strides.aColumn), .size(strides.aBatch), .size(strides.bRow), .size(strides.bColumn),
        .size(strides.bBatch), .float(problem.alpha), .float(problem.beta), .int(problem.activation?.number ?? 0),
      ])
  }
}

/// Where op(A)[i, l] and op(B)[l, j] lie, in elements.
struct MatmulStrides {
  var aRow: Int
  var aColumn: Int
  var aBatch: Int
  var bRow: Int
  var bColumn: Int
  var bBatch: Int

  init(_ problem: MatmulProblem) {
    (aRow, aColumn) = problem.transposeA ? (1, problem.m) : (problem.k, 1)
    (bRow, bColumn) = problem.transposeB ? (1, problem.k) : (problem.n, 1)
    aBatch = problem.m * problem.k
    bBatch = problem.sharedB ? 0 : problem.n * problem.k
  }
}

extension DType {
  /// The number of an operand's type in operands.cl.
  var operandNumber: Int {
    switch self {
    case .f32, .i32: 0
    case .bf16: 1
    case .f16: 2
    }
  }
}
