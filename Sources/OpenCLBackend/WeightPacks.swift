import COpenCL
import Compute

/// Frozen weights in panels, for products of few rows: made once, kept instead of what was loaded, and turned back into
/// it.
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
    let source = try owner.buffer(staying: false).dropFirst(b.offset * b.dtype.byteCount)
    try run(
      program, "pack_b", groups: groups, local: [1, 1, 1], [.buffer(source, b.dtype), .storage(target)] + sizes)
    guard problem.frozen else { return target }
    owner.packs[pack] = target
    if owner.isBorrowed {
      try queue.finish()
      owner.releaseBorrowed()
      return target
    }
    guard pack.isLossless(b.dtype), pack.isWhole(owner, b.dtype) else { return target }
    let unpacking = ProgramKey.pack(
      OperandTypes(b: b.dtype, rounded: false), vectors: pack.vectors, paired: pack.paired)
    // Built now: what was loaded must not go where the way back does not build.
    _ = try programs.kernel("unpack_b", in: unpacking)
    owner.letGo { [unowned self, type = b.dtype] buffer in
      try run(
        unpacking, "unpack_b", groups: groups, local: [1, 1, 1], [.buffer(buffer, type), .storage(target)] + sizes)
    }
    return target
  }
}

extension WeightPack {
  /// f32 in single values and bf16 in pairs come out of the panels as they went in.
  fileprivate func isLossless(_ type: DType) -> Bool { paired ? type == .bf16 : type == .f32 }

  /// Whether the panels hold all that there is of a weight.
  fileprivate func isWhole(_ owner: OpenCLStorage, _ type: DType) -> Bool {
    offset == 0 && n * k * batch * type.byteCount == owner.byteCount
  }
}
