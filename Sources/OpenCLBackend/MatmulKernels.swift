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
    let operands = MatmulOperands(a: a, b: b, bias: bias, addend: addend, output: output)
    guard problem.k > 0 else { return try plainMatmul(problem, operands) }
    switch variants.products {
    case .plain: try plainMatmul(problem, operands)
    case .gpu: try localMatmul(problem, operands)
    case .cpu: try tiledMatmul(problem, operands)
    }
  }

  /// One work-item per element.
  private func plainMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands) throws {
    let local = min(64, openCLDevice.maximumWorkGroup)
    try run(
      .plainMatmul(OperandTypes(problem, operands)), "matmul_plain",
      groups: [(problem.n + local - 1) / local, problem.m, problem.batch], local: [local, 1, 1],
      stridedArguments(problem, operands))
  }

  /// Tiles in local memory, or slices of the sums for few rows.
  private func localMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands) throws {
    let types = OperandTypes(problem, operands)
    if let rows = ProgramKey.fewRows.first(where: { $0 >= problem.m }) {
      let columns = problem.transposeB ? 8 : 32
      return try run(
        .fewRowsMatmul(types, rows: rows, alongK: problem.transposeB), "matmul_few_rows",
        groups: [(problem.n + columns - 1) / columns, 1, problem.batch], local: [256, 1, 1],
        stridedArguments(problem, operands))
    }
    // The larger tile reads less, but needs enough tiles to occupy the device.
    let isLarge =
      prefersLargeTiles || (problem.m / 128) * (problem.n / 128) * problem.batch >= openCLDevice.computeUnits
    let chunks = isLarge ? 2 : 1
    let side = 64 * chunks
    let groups = [(problem.n + side - 1) / side, (problem.m + side - 1) / side, problem.batch]
    let arguments = stridedArguments(problem, operands)
    if let form = tensorForm, problem.roundsOperands, TensorForm.typesOfB.contains(operands.b.dtype) {
      return try run(
        .tensorMatmul(b: operands.b.dtype, chunks: chunks, form: form), "matmul_tensor", groups: groups,
        local: [128 * chunks, 1, 1], arguments)
    }
    try run(.localMatmul(types, chunks: chunks), "matmul_local", groups: groups, local: [16, 16, 1], arguments)
  }

  /// The arguments of the kernels that read B as it lies.
  private func stridedArguments(_ problem: MatmulProblem, _ operands: MatmulOperands) -> [KernelArgument] {
    let strides = MatmulStrides(problem)
    return [
      .tensor(operands.a), .tensor(operands.b), .optional(operands.bias), .optional(operands.addend),
      .tensor(operands.output), .int(problem.m), .int(problem.n), .int(problem.k), .size(strides.aRow),
      .size(strides.aColumn), .size(strides.aBatch), .size(strides.bRow), .size(strides.bColumn),
      .size(strides.bBatch), .float(problem.alpha), .float(problem.beta), .int(problem.activation?.number ?? 0),
    ]
  }
}

/// How the elements of a product's operands are read, as operands.cl numbers it.
struct OperandTypes: Hashable {
  var b: Int
  var rounded: Bool

  init(b: DType, rounded: Bool) {
    self.b = b.operandNumber
    self.rounded = rounded
  }

  init(_ problem: MatmulProblem, _ operands: MatmulOperands) {
    self.init(b: operands.b.dtype, rounded: problem.roundsOperands)
  }

  var parameters: [String: Int] { ["B_TYPE": b, "ROUNDED": rounded ? 1 : 0] }
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
