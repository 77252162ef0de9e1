import COpenCL
import Compute

/// How a frozen weight was repacked.
struct WeightPack: Hashable {
  /// The first element of the weight inside its storage.
  var offset: Int
  var transposed: Bool
  var n: Int
  var k: Int
  var batch: Int
  var vectors: Int
  /// Values are rounded to bfloat16, in pairs.
  var paired: Bool
}

/// Which operands of a register tile are pairs of bfloat16 values; the raw values are those of matmul_cpu.cl.
enum TilePairs: Int, CaseIterable {
  case none
  /// B, which is stored so.
  case right
  /// Both, which are rounded.
  case both

  init(_ problem: MatmulProblem, _ operands: MatmulOperands) {
    self = problem.roundsOperands ? .both : operands.b.dtype == .bf16 ? .right : .none
  }
}

/// Register tiles for processors (matmul_cpu.cl).
extension OpenCLBackend {
  private static let tileRows = 8

  func tiledMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands) throws {
    // Tiles of equal height and width, so that no small rest is left over at the edges.
    let tiles = (problem.m + Self.tileRows - 1) / Self.tileRows
    let wanted = (problem.m + tiles - 1) / tiles
    let rows = ProgramKey.tileHeights.first { $0 >= wanted } ?? Self.tileRows
    let direct = unpackedVectors(problem, operands.b)
    let vectors = direct ?? Self.panelVectors(problem.n)
    let columns = 16 * vectors
    let panels = (problem.n + columns - 1) / columns
    let pairs = TilePairs(problem, operands)
    let paired = pairs != .none
    var strides = MatmulStrides(problem)
    let panelRows = paired ? (problem.k + 1) / 2 : problem.k

    var b = KernelArgument.tensor(operands.b)
    var panelStrides = (row: columns, panel: panelRows * columns, batch: panels * panelRows * columns)
    if direct != nil {
      panelStrides = (row: problem.n, panel: columns, batch: strides.bBatch)
    } else {
      let pack = WeightPack(
        offset: operands.b.offset, transposed: problem.transposeB, n: problem.n, k: problem.k,
        batch: problem.sharedB ? 1 : problem.batch, vectors: vectors, paired: paired)
      b = .storage(try packed(operands.b, pack, problem, panels: panels, panelRows: panelRows))
      if problem.sharedB { panelStrides.batch = 0 }
    }
    var a = KernelArgument.tensor(operands.a)
    if pairs == .both {
      a = .storage(try packedRows(problem, operands.a, strides))
      (strides.aRow, strides.aColumn, strides.aBatch) = (panelRows, 1, problem.m * panelRows)
    }
    try run(
      .tiledMatmul(rows: rows, vectors: vectors, pairs: pairs, dot: try pairs == .both && usesDotProducts()),
      "matmul_tiles",
      groups: [(problem.m + rows - 1) / rows, panels, problem.batch], local: [1, 1, 1],
      [
        a, b, .optional(operands.bias), .optional(operands.addend), .tensor(operands.output),
        .int(problem.m), .int(problem.n), .int(problem.k), .size(strides.aRow), .size(strides.aColumn),
        .size(strides.aBatch), .size(panelStrides.row), .size(panelStrides.panel), .size(panelStrides.batch),
        .float(problem.alpha), .float(problem.beta), .int(problem.activation?.number ?? 0),
      ])
  }

  /// The width of panels, in vectors of 16 columns: as equal as they can be.
  private static func panelVectors(_ n: Int) -> Int {
    let widest = 16 * ProgramKey.tileVectors
    let fewestPanels = (n + widest - 1) / widest
    return ((n + fewestPanels - 1) / fewestPanels + 15) / 16
  }

  /// The width of the panels if B is to be read as it lies: for few rows, packing would cost more than the product.
  ///
  /// The panels must then fill the rows of B exactly, so that nothing behind a row is read.
  private func unpackedVectors(_ problem: MatmulProblem, _ b: Tensor) -> Int? {
    guard
      !problem.frozen, !problem.transposeB, !problem.roundsOperands, b.dtype == .f32, problem.m <= 2 * Self.tileRows
    else { return nil }
    return (1...ProgramKey.tileVectors).reversed().first { problem.n % (16 * $0) == 0 }
  }

  /// op(A) rounded to bfloat16, `[batch, m, (k + 1) / 2]` pairs of neighbours.
  private func packedRows(_ problem: MatmulProblem, _ a: Tensor, _ strides: MatmulStrides) throws -> OpenCLStorage {
    let target = try storage(problem.batch * problem.m * ((problem.k + 1) / 2) * 4)
    try run(
      .packRows, "pack_a", groups: [problem.m, problem.batch], local: [1, 1],
      [
        .tensor(a), .storage(target), .int(problem.k), .size(strides.aRow), .size(strides.aColumn),
        .size(strides.aBatch),
      ])
    return target
  }

  /// Whether products of bfloat16 pairs are left to an instruction of the processor.
  func usesDotProducts() throws -> Bool {
    if let known = hasDotProducts { return known }
    var answer = false
    if allowsDotProducts {
      let flag = try allocate([1], .i32)
      try run(.processor, "bf16_dot", groups: [1], local: [1], [.tensor(flag)])
      answer = try integers(flag)[0] == 1
    }
    hasDotProducts = answer
    return answer
  }

  private func packed(
    _ b: Tensor, _ pack: WeightPack, _ problem: MatmulProblem, panels: Int, panelRows: Int
  ) throws -> OpenCLStorage {
    let owner = storage(of: b)
    if problem.frozen, let ready = owner.packs[pack] { return ready }
    let columns = 16 * pack.vectors
    let target = try storage(pack.batch * panels * panelRows * columns * 4)
    let types = OperandTypes(b: b.dtype, rounded: problem.roundsOperands)
    let strides = MatmulStrides(problem)
    let blockRows = 32  // PACKED_ROWS
    try run(
      .pack(types, vectors: pack.vectors, paired: pack.paired), "pack_b",
      groups: [panels, (panelRows + blockRows - 1) / blockRows, pack.batch], local: [1, 1, 1],
      [
        .tensor(b), .storage(target), .int(pack.n), .int(pack.k), .size(strides.bRow), .size(strides.bColumn),
        .size(strides.bBatch),
      ])
    if problem.frozen, packsBothWays || owner.packs.isEmpty { owner.packs[pack] = target }
    return target
  }
}
