import Compute

/// How a frozen weight was repacked.
struct WeightPack: Hashable {
  /// The first element of the weight inside its storage.
  var offset: Int
  var transposed: Bool
  var n: Int
  var k: Int
  var columns: Int
}

extension OpenCLBackend {
  public func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    try matmulPlain(problem, a, b, bias: bias, addend: addend, into: output)
  }

  private func matmulPlain(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    let program = ProgramKey(
      file: "matmul_plain.cl",
      parameters: ["B_TYPE": b.dtype.operandNumber, "ROUNDED": problem.roundsOperands ? 1 : 0])
    let local = min(64, openCLDevice.maximumWorkGroup)
    let (m, n, k) = (problem.m, problem.n, problem.k)
    try run(
      program, "matmul_plain", groups: [(n + local - 1) / local, m, problem.batch], local: [local, 1, 1],
      [
        .tensor(a), .tensor(b), .optional(bias), .optional(addend), .tensor(output), .int(m), .int(n), .int(k),
        .size(problem.transposeA ? 1 : k), .size(problem.transposeA ? m : 1), .size(m * k),
        .size(problem.transposeB ? 1 : n), .size(problem.transposeB ? k : 1), .size(problem.sharedB ? 0 : n * k),
        .float(problem.alpha), .float(problem.beta), .int(problem.activation?.number ?? 0),
      ])
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
