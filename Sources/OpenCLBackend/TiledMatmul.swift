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

/// Which operands of a register tile are pairs of bfloat16 values; the raw values are those of matmul_tile.cl.
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

/// Register tiles for processors (matmul_strips.cl, matmul_cpu.cl).
///
/// Both forms make the same sums in the same order, so results do not depend on which weights are packed already.
extension OpenCLBackend {
  private static let tileRows = 8

  /// Products of many rows pack B as they go; with few rows a frozen weight is packed once, any other B each time.
  func tiledMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands) throws {
    let isTall = problem.m > 2 * Self.tileRows
    if isTall, storage(of: operands.b).packs[weightPack(problem, operands)] == nil {
      try stripMatmul(problem, operands)
    } else {
      try panelMatmul(problem, operands)
    }
  }

  /// The height of the tiles that `m` rows are cut into, as equal as they can be: no small rest is left over.
  private func tileHeight(_ m: Int, of heights: [Int]) -> Int {
    let tiles = (m + Self.tileRows - 1) / Self.tileRows
    return heights.first { $0 >= (m + tiles - 1) / tiles } ?? Self.tileRows
  }

  private func weightPack(_ problem: MatmulProblem, _ operands: MatmulOperands) -> WeightPack {
    WeightPack(
      offset: operands.b.offset, transposed: problem.transposeB, n: problem.n, k: problem.k,
      batch: problem.sharedB ? 1 : problem.batch, vectors: Self.panelVectors(problem.n),
      paired: TilePairs(problem, operands) != .none)
  }

  /// B is packed strip by strip, into local memory.
  private func stripMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands) throws {
    let types = OperandTypes(problem, operands)
    let rows = tileHeight(problem.m, of: ProgramKey.stripHeights)
    let plan = StripPlan(problem, vectors: Self.panelVectors(problem.n), rows: rows, device: openCLDevice)
    let strides = MatmulStrides(problem)
    let left = try leftOperand(problem, operands, strides)
    // What the sums are added to must not be overwritten by parts of them.
    let waitsElsewhere = plan.depth < problem.k && operands.addend != nil
    let partial = waitsElsewhere ? try allocate(operands.output.shape, .f32) : operands.output
    try run(
      .stripMatmul(types, rows: rows, vectors: plan.vectors, dot: try problem.roundsOperands && usesDotProducts()),
      "matmul_strips", groups: [plan.chunks, plan.strips, problem.batch], local: [1, 1, 1],
      [
        left.a, .tensor(operands.b), .optional(operands.bias), .optional(operands.addend), .tensor(operands.output),
        .tensor(partial), .local(plan.localBytes), .int(problem.m), .int(problem.n), .int(problem.k),
        .int(plan.depth), .int(plan.chunkRows), .size(left.row), .size(left.column), .size(left.batch),
        .size(strides.bRow), .size(strides.bColumn), .size(strides.bBatch), .float(problem.alpha),
        .float(problem.beta), .int(problem.activation?.number ?? 0),
      ])
  }

  /// B is in panels, or lies so that its rows can be read as panels.
  private func panelMatmul(_ problem: MatmulProblem, _ operands: MatmulOperands) throws {
    let rows = tileHeight(problem.m, of: ProgramKey.tileHeights)
    let direct = unpackedVectors(problem, operands.b)
    let pack = weightPack(problem, operands)
    let vectors = direct ?? pack.vectors
    let columns = 16 * vectors
    let panels = (problem.n + columns - 1) / columns
    let strides = MatmulStrides(problem)
    let panelRows = pack.paired ? (problem.k + 1) / 2 : problem.k

    var b = KernelArgument.tensor(operands.b)
    var panelStrides = (row: columns, panel: panelRows * columns, batch: panels * panelRows * columns)
    if direct != nil {
      panelStrides = (row: problem.n, panel: columns, batch: strides.bBatch)
    } else {
      b = .storage(try packed(operands.b, pack, problem, panels: panels, panelRows: panelRows))
      if problem.sharedB { panelStrides.batch = 0 }
    }
    let left = try leftOperand(problem, operands, strides)
    let pairs = TilePairs(problem, operands)
    try run(
      .tiledMatmul(rows: rows, vectors: vectors, pairs: pairs, dot: try pairs == .both && usesDotProducts()),
      "matmul_tiles",
      groups: [(problem.m + rows - 1) / rows, panels, problem.batch], local: [1, 1, 1],
      [
        left.a, b, .optional(operands.bias), .optional(operands.addend), .tensor(operands.output),
        .int(problem.m), .int(problem.n), .int(problem.k), .size(left.row), .size(left.column), .size(left.batch),
        .size(panelStrides.row), .size(panelStrides.panel), .size(panelStrides.batch), .float(problem.alpha),
        .float(problem.beta), .int(problem.activation?.number ?? 0),
      ])
  }

  /// op(A) and its strides: as it lies, or rounded to bfloat16, `[batch, m, (k + 1) / 2]` pairs of neighbours.
  private func leftOperand(
    _ problem: MatmulProblem, _ operands: MatmulOperands, _ strides: MatmulStrides
  ) throws -> (a: KernelArgument, row: Int, column: Int, batch: Int) {
    guard problem.roundsOperands else {
      return (.tensor(operands.a), strides.aRow, strides.aColumn, strides.aBatch)
    }
    let words = (problem.k + 1) / 2
    let target = try storage(problem.batch * problem.m * words * 4)
    try run(
      .packRows, "pack_a", groups: [problem.m, problem.batch], local: [1, 1],
      [
        .tensor(operands.a), .storage(target), .int(problem.k), .size(strides.aRow), .size(strides.aColumn),
        .size(strides.aBatch),
      ])
    return (.storage(target), words, 1, problem.m * words)
  }

  /// The width of panels, in vectors of 16 columns: as equal as they can be.
  static func panelVectors(_ n: Int) -> Int {
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
}

/// How a product is cut into strips of B and chunks of rows.
struct StripPlan {
  /// The longest block of k: a strip of it fits the second-level cache beside A's rows.
  private static let longestBlock = 1024
  /// Rows of A that pass over a packed strip.
  private static let tallestChunk = 768

  /// The width of a strip, in vectors of 16 columns.
  let vectors: Int
  let strips: Int
  /// Rows of B that are packed at a time.
  let depth: Int
  let chunkRows: Int
  let chunks: Int
  let localBytes: Int

  init(_ problem: MatmulProblem, vectors: Int, rows: Int, device: OpenCLDevice) {
    self.vectors = vectors
    let rowBytes = 64 * vectors / (problem.roundsOperands ? 2 : 1)
    let longest = min(Self.longestBlock, device.localMemoryBytes / rowBytes / 16 * 16)
    let blocks = (problem.k + longest - 1) / longest
    depth = ((problem.k + blocks - 1) / blocks + 15) / 16 * 16
    localBytes = depth * rowBytes
    strips = (problem.n + 16 * vectors - 1) / (16 * vectors)
    // Enough work-groups for all cores; which rows belong to which changes no result.
    let tall = (problem.m + Self.tallestChunk - 1) / Self.tallestChunk
    let wanted = (4 * device.computeUnits + problem.batch * strips - 1) / (problem.batch * strips)
    let count = max(tall, min(wanted, problem.m / (4 * rows)), 1)
    chunkRows = ((problem.m + count - 1) / count + rows - 1) / rows * rows
    chunks = (problem.m + chunkRows - 1) / chunkRows
  }
}
