import CPUTiles
import Compute

/// How a product of many rows is computed.
///
/// B is cut into strips as wide as a register tile. A strip is packed into the worker's own memory, a block of k at a
/// time, where it stays in the second-level cache while all rows of A pass over it; A is read in place. Packing costs a
/// few percent of the product from some dozen rows on, and needs no second copy of the weights. With fewer rows the
/// product is bound by reading B, which is then read in place, once.
struct StripPlan {
  /// Rows up to which B is read in place; fewer where that takes sums across lanes or widening for every tile.
  static func skinnyRows(_ problem: MatmulProblem, _ b: DType) -> Int { problem.transposeB || b != .f32 ? 16 : 48 }

  /// The longest block of k: a strip of it fits the second-level cache beside A's rows.
  static let longestBlock = 1024
  /// Rows of A that pass over a packed strip.
  static let tallestChunk = 768

  let depth: Int
  let blocks: Int
  let chunkRows: Int
  let chunks: Int
  let stripColumns: Int
  let strips: Int
  private let problem: MatmulProblem

  init(_ problem: MatmulProblem, tiles: CPUTiles, threads: Int) {
    (blocks, depth) = Self.blocks(of: problem.k)
    stripColumns = Int(tiles.tileColumns)
    strips = (problem.n + stripColumns - 1) / stripColumns
    // Enough tasks for all threads; which rows belong to which task changes no result.
    let tileRows = Int(tiles.tileRows)
    self.problem = problem
    var chunks = (problem.m + Self.tallestChunk - 1) / Self.tallestChunk
    let wanted = (4 * threads + problem.batch * strips - 1) / (problem.batch * strips)
    chunks = max(chunks, min(wanted, problem.m / (4 * tileRows)), 1)
    let rows = (problem.m + chunks - 1) / chunks
    chunkRows = (rows + tileRows - 1) / tileRows * tileRows
    self.chunks = (problem.m + chunkRows - 1) / chunkRows
  }

  /// How many blocks `k` is cut into, and the rows of B in each; at least one, even where there are no rows.
  static func blocks(of k: Int) -> (count: Int, depth: Int) {
    let count = max(1, (k + longestBlock - 1) / longestBlock)
    return (count, max(16, ((k + count - 1) / count + 15) / 16 * 16))
  }

  /// The rows of A and the first block of B of a task.
  func task(_ number: Int) -> (rows: Range<Int>, part: StripPart) {
    let (matrix, inside) = (number / (chunks * strips), number % (chunks * strips))
    let chunk = inside / strips
    return (
      chunk * chunkRows..<min(problem.m, (chunk + 1) * chunkRows), part(matrix, strip: inside % strips, block: 0)
    )
  }

  private func part(_ matrix: Int, strip: Int, block: Int) -> StripPart {
    StripPart(
      matrix: matrix, strip: strip, block: block,
      columns: strip * stripColumns..<min(problem.n, (strip + 1) * stripColumns),
      depths: min(problem.k, block * depth)..<min(problem.k, (block + 1) * depth))
  }

  /// The part of B that a worker packs next, as far as that can be known: a worker takes one strip after the other.
  func next(_ part: StripPart) -> StripPart? {
    if part.block + 1 < blocks { return self.part(part.matrix, strip: part.strip, block: part.block + 1) }
    let strip = part.strip + 1
    return strip < strips ? self.part(part.matrix, strip: strip, block: 0) : nil
  }
}

/// A block of B that is packed at a time.
struct StripPart {
  let matrix: Int
  let strip: Int
  let block: Int
  let columns: Range<Int>
  let depths: Range<Int>
}

extension CPUBackend {
  func packedMatmul(
    _ problem: MatmulProblem, _ a: UnsafeMutablePointer<Float>, _ b: RightOperand, _ finish: Finish
  ) {
    let (tiles, m, k) = (tiles, problem.m, problem.k)
    overStrips(problem, b, finish) { part, packed, ld in
      tiles.pack(
        b.element, b.transposed ? 1 : 0, problem.roundsOperands ? 1 : 0, Int64(part.columns.count),
        Int64(part.depths.count), b.at(part), Int64(b.ld), packed, ld)
    } multiply: { part, rows, packed, ld, request, epilogue in
      tiles.strip(
        CPU_F32, Int64(rows.count), Int64(part.columns.count), Int64(part.depths.count),
        a + (part.matrix * m + rows.lowerBound) * k + part.depths.lowerBound, Int64(k), packed, ld, 0, request,
        &epilogue)
    }
  }

  func pairMatmul(
    _ problem: MatmulProblem, _ a: UnsafeMutablePointer<Float>, _ b: RightOperand, _ finish: Finish
  ) {
    guard let pairStrip = tiles.pairStrip else { preconditionFailure("no products of pairs") }
    let (tiles, m, words) = (tiles, problem.m, (problem.k + 1) / 2)
    func pairs(_ floats: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<UInt32> {
      UnsafeMutableRawPointer(floats).assumingMemoryBound(to: UInt32.self)
    }
    overStrips(problem, b, finish) { part, packed, ld in
      tiles.packPairs(
        b.element, b.transposed ? 1 : 0, Int64(part.columns.count), Int64(part.depths.count), b.at(part), Int64(b.ld),
        pairs(packed), ld)
    } multiply: { part, rows, packed, ld, request, epilogue in
      pairStrip(
        Int64(rows.count), Int64(part.columns.count), Int64(part.depths.count),
        pairs(a) + (part.matrix * m + rows.lowerBound) * words + part.depths.lowerBound / 2, Int64(words),
        pairs(packed), ld, request, &epilogue)
    }
  }

  /// Packs strips of B block by block and lets the rows of A pass over them.
  ///
  /// What a worker packs next is asked for meanwhile: it lies in rows far apart, which a processor does not see coming.
  private func overStrips(
    _ problem: MatmulProblem, _ b: RightOperand, _ finish: Finish,
    pack: (StripPart, _ packed: UnsafeMutablePointer<Float>, _ ld: Int64) -> Void,
    multiply: (
      StripPart, _ rows: Range<Int>, UnsafeMutablePointer<Float>, Int64, UnsafeMutablePointer<CPURequest>?,
      inout CPUEpilogue
    ) -> Void
  ) {
    let plan = StripPlan(problem, tiles: tiles, threads: workers.count)
    workers.run(problem.batch * plan.chunks * plan.strips) { task, worker in
      let (rows, start) = plan.task(task)
      let packed = workers.floats((plan.depth + plan.chunkRows) * plan.stripColumns, worker: worker)
      let partial = packed + plan.depth * plan.stripColumns
      var part = start
      while true {
        pack(part, packed, Int64(plan.stripColumns))
        var epilogue = finish.epilogue(
          part.matrix, rows.lowerBound, part.columns.lowerBound, isFirst: part.block == 0,
          isLast: part.block + 1 == plan.blocks, partial: partial, ld: plan.stripColumns)
        let next = plan.next(part)
        if let next {
          var request = b.request(next)
          multiply(part, rows, packed, Int64(plan.stripColumns), &request, &epilogue)
        } else {
          multiply(part, rows, packed, Int64(plan.stripColumns), nil, &epilogue)
        }
        guard let next, next.strip == part.strip else { break }
        part = next
      }
      finish.activate(tiles, part.matrix, rows, part.columns)
    }
  }
}

extension RightOperand {
  /// The place of a part's first element.
  func at(_ part: StripPart) -> UnsafeRawPointer {
    at(matrix: part.matrix, row: part.depths.lowerBound, column: part.columns.lowerBound)
  }

  /// The request for a part.
  func request(_ part: StripPart) -> CPURequest {
    let (runs, elements) =
      transposed ? (part.columns.count, part.depths.count) : (part.depths.count, part.columns.count)
    return CPURequest(
      start: at(part).assumingMemoryBound(to: CChar.self), bytes: Int64(elements * width), runs: Int64(runs),
      stride: Int64(ld * width), run: 0, byte: 0, lines: 0)
  }
}
