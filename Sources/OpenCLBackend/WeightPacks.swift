import COpenCL
import Compute

/// Frozen weights in panels: made once, kept instead of what was loaded, and turned back into it.
extension OpenCLBackend {
  /// op(B) in panels; that of a frozen weight is kept.
  func packed(
    _ b: Tensor, _ pack: WeightPack, _ problem: MatmulProblem, panels: Int, panelRows: Int
  ) throws -> OpenCLStorage {
    let owner = storage(of: b)
    if problem.frozen, let ready = owner.packs[pack] { return ready }
    let target = try storage(pack.batch * panels * panelRows * 16 * pack.vectors * 4)
    let program = ProgramKey.pack(
      OperandTypes(b: b.dtype, rounded: problem.roundsOperands), vectors: pack.vectors, paired: pack.paired)
    let strides = MatmulStrides(problem)
    let blockRows = 32  // PACKED_ROWS
    let groups = [panels, (panelRows + blockRows - 1) / blockRows, pack.batch]
    let sizes: [KernelArgument] = [
      .int(pack.n), .int(pack.k), .size(strides.bRow), .size(strides.bColumn), .size(strides.bBatch),
    ]
    try run(program, "pack_b", groups: groups, local: [1, 1, 1], [.tensor(b), .storage(target)] + sizes)
    guard problem.frozen else { return target }
    owner.packs[pack] = target
    if owner.isBorrowed {
      try queue.finish()
      owner.releaseBorrowed()
      return target
    }
    guard pack.isLossless(b.dtype) else { return target }
    let unpacking = ProgramKey.pack(
      OperandTypes(b: b.dtype, rounded: false), vectors: pack.vectors, paired: pack.paired)
    // Built now: what was loaded must not go where the way back does not build.
    _ = try programs.kernel("unpack_b", in: unpacking)
    guard isComplete(owner, pack, b.dtype) else { return target }
    owner.letGo { [unowned self, type = b.dtype] buffer in
      try run(
        unpacking, "unpack_b", groups: groups, local: [1, 1, 1], [.buffer(buffer, type), .storage(target)] + sizes)
    }
    return target
  }

  /// Whether the packs of a weight hold all that there is of it, and products need nothing else.
  private func isComplete(_ owner: OpenCLStorage, _ pack: WeightPack, _ type: DType) -> Bool {
    guard pack.offset == 0, pack.n * pack.k * pack.batch * type.byteCount == owner.byteCount else { return false }
    return weightCopies == .once || owner.packs[pack.turned] != nil
  }

  /// The product from panels that were made for the other direction, if there are any and one copy is to do.
  ///
  /// - Returns: whether it was done.
  func turnedMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands, paired: Bool) throws -> Bool {
    guard weightCopies == .once, problem.frozen, !problem.transposeA, problem.batch == 1 else { return false }
    let pack = WeightPack(
      offset: operands.b.offset, transposed: !problem.transposeB, n: problem.k, k: problem.n, batch: 1,
      vectors: Self.panelVectors(problem.k), paired: paired)
    guard let panels = storage(of: operands.b).packs[pack] else { return false }
    let a = try problem.roundsOperands ? rounded(operands.a) : operands.a
    let rows = ProgramKey.turnedHeights.first { $0 >= problem.m } ?? 4
    let outputs = 6  // OUTPUTS
    let panelRows = paired ? (problem.n + 1) / 2 : problem.n
    try run(
      .turnedMatmul(rows: rows, vectors: pack.vectors, paired: paired), "matmul_turned",
      groups: [(problem.m + rows - 1) / rows, (problem.n + outputs - 1) / outputs], local: [1, 1],
      [
        .tensor(a), .storage(panels), .optional(operands.bias), .optional(operands.addend),
        .tensor(operands.output), .int(problem.m), .int(problem.n), .int(problem.k),
        .size(panelRows * 16 * pack.vectors), .float(problem.alpha), .float(problem.beta),
        .int(problem.activation?.number ?? 0),
      ])
    return true
  }
}

extension WeightPack {
  /// f32 in single values and bf16 in pairs come out of the panels as they went in.
  func isLossless(_ type: DType) -> Bool { paired ? type == .bf16 : type == .f32 }

  /// The pack of the same weight for the other direction.
  var turned: WeightPack {
    WeightPack(
      offset: offset, transposed: !transposed, n: k, k: n, batch: batch, vectors: OpenCLBackend.panelVectors(k),
      paired: paired)
  }
}
