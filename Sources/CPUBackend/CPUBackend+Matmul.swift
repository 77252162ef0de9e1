import CPUTiles
import Compute

extension CPUBackend {
  public func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    let skinny = problem.m <= StripPlan.skinnyRows(problem, b.dtype) && !(problem.roundsOperands && b.dtype != .bf16)
    let pairs = problem.roundsOperands && !skinny && tiles.pairStrip != nil
    let left = try leftOperand(problem, a, pairs: pairs)
    let right = RightOperand(problem, b)
    let finish = Finish(problem, bias: bias?.floats, addend: addend?.floats, output: output.floats)
    if skinny, !problem.transposeB, problem.m <= StreamPlan.tallest {
      try streamedMatmul(problem, left.floats, right, finish)
    } else if skinny {
      skinnyMatmul(problem, left.floats, right, finish)
    } else if pairs {
      pairMatmul(problem, left.floats, right, finish)
    } else {
      packedMatmul(problem, left.floats, right, finish)
    }
  }

  /// A in rows `[batch m, k]`; rounded if asked; as pairs of bf16, `[batch m, (k + 1) / 2]` words, if asked.
  private func leftOperand(_ problem: MatmulProblem, _ a: Tensor, pairs: Bool) throws -> Tensor {
    let (batch, m, k) = (problem.batch, problem.m, problem.k)
    guard problem.transposeA || problem.roundsOperands, k > 0 else { return a }
    var rows = a
    if problem.transposeA {
      rows = try allocate([batch * m, k], .f32)
      let (x, y) = (a.floats, rows.floats)
      let stripes = (m + Self.columnGrain - 1) / Self.columnGrain
      workers.run(batch * stripes) { task, _ in
        let first = task % stripes * Self.columnGrain
        let matrix = task / stripes * m * k
        tiles.transpose(
          x + matrix + first, Int64(m), Int64(k), Int64(min(Self.columnGrain, m - first)), y + matrix + first * k,
          Int64(k))
      }
    }
    guard problem.roundsOperands else { return rows }
    let words = pairs ? (k + 1) / 2 : k
    let rounded = try allocate([batch * m, words], .f32)
    let (x, y) = (rows.floats, rounded.floats)
    workers.runRanges(batch * m, grain: Self.rowGrain(k)) { range, _ in
      for row in range {
        if pairs {
          (y + row * words).withMemoryRebound(to: UInt32.self, capacity: words) {
            tiles.roundPairs(x + row * k, $0, Int64(k))
          }
        } else {
          tiles.roundToBF16(x + row * k, y + row * k, Int64(k))
        }
      }
    }
    return rounded
  }

  /// Few rows: B is read once, in order, by blocks of its rows; their sums are added up afterwards.
  private func streamedMatmul(
    _ problem: MatmulProblem, _ a: UnsafeMutablePointer<Float>, _ b: RightOperand, _ finish: Finish
  ) throws {
    let plan = StreamPlan(problem)
    let (m, n, k) = (problem.m, problem.n, problem.k)
    let partSize = m * plan.stride
    let perMatrix = plan.blocks * plan.chunks
    let memory = try allocate([problem.batch * plan.blocks, partSize], .f32)
    let sums = memory.floats
    workers.run(problem.batch * perMatrix) { task, _ in
      let (matrix, inside) = (task / perMatrix, task % perMatrix)
      let (block, chunk) = (inside / plan.chunks, inside % plan.chunks)
      let depths = min(k, block * plan.depth)..<min(k, (block + 1) * plan.depth)
      let columns = chunk * plan.chunkColumns..<min(n, (chunk + 1) * plan.chunkColumns)
      tiles.stream(
        b.element, Int64(m), Int64(columns.count), Int64(depths.count), a + matrix * m * k + depths.lowerBound,
        Int64(k), b.at(matrix: matrix, row: depths.lowerBound, column: columns.lowerBound), Int64(b.ld),
        sums + (matrix * plan.blocks + block) * partSize + columns.lowerBound, Int64(plan.stride))
    }
    let grain = max(64, (1 << 16) / (m * plan.blocks) / 16 * 16)
    let ranges = (n + grain - 1) / grain
    workers.run(problem.batch * ranges) { task, _ in
      let (matrix, range) = (task / ranges, task % ranges)
      let columns = range * grain..<min(n, (range + 1) * grain)
      var epilogue = finish.epilogue(matrix, 0, columns.lowerBound, isFirst: true)
      tiles.finishSums(
        Int64(m), Int64(columns.count), Int64(plan.blocks), sums + matrix * plan.blocks * partSize + columns.lowerBound,
        Int64(plan.stride), Int64(partSize), &epilogue)
      finish.activate(tiles, matrix, 0..<m, columns)
    }
    withExtendedLifetime(memory) {}
  }

  /// Few rows: every element of B is read from memory once, in place, by tasks of some columns each.
  private func skinnyMatmul(
    _ problem: MatmulProblem, _ a: UnsafeMutablePointer<Float>, _ b: RightOperand, _ finish: Finish
  ) {
    let (m, n, k) = (problem.m, problem.n, problem.k)
    let width = SkinnyPlan.columns(problem, tiles: tiles, threads: workers.count)
    let perMatrix = (n + width - 1) / width
    workers.run(problem.batch * perMatrix) { task, worker in
      let (matrix, chunk) = (task / perMatrix, task % perMatrix)
      let columns = chunk * width..<min(n, (chunk + 1) * width)
      let left = a + matrix * m * k
      if b.transposed {
        var epilogue = finish.epilogue(matrix, 0, columns.lowerBound, isFirst: true)
        tiles.dots(
          b.element, Int64(m), Int64(columns.count), Int64(k), left, Int64(k),
          b.at(matrix: matrix, row: 0, column: columns.lowerBound), Int64(b.ld), &epilogue)
      } else {
        skinnyStrips(problem, matrix, columns, left, b, finish, worker: worker)
      }
      finish.activate(tiles, matrix, 0..<m, columns)
    }
  }

  /// Some columns of a product with B not transposed.
  ///
  /// Blocks of B's rows pass one after the other; while one is in the second-level cache, the next comes from memory.
  private func skinnyStrips(
    _ problem: MatmulProblem, _ matrix: Int, _ columns: Range<Int>, _ a: UnsafeMutablePointer<Float>,
    _ b: RightOperand, _ finish: Finish, worker: Int
  ) {
    let (m, k, strip) = (Int64(problem.m), problem.k, Int(tiles.tileColumns))
    let (longest, asks) = SkinnyPlan.depth(problem)
    for first in stride(from: 0, to: max(k, 1), by: longest) {
      let depth = min(longest, k - first)
      let ahead = asks && first + longest < k ? longest : 0
      for column in stride(from: columns.lowerBound, to: columns.upperBound, by: strip) {
        let count = min(strip, columns.upperBound - column)
        var epilogue = finish.epilogue(matrix, 0, column, isFirst: first == 0)
        let right = b.at(matrix: matrix, row: first, column: column)
        if count % Int(tiles.lanes) == 0 {
          tiles.strip(
            b.element, m, Int64(count), Int64(depth), a + first, Int64(k), right, Int64(b.ld), Int64(ahead), nil,
            &epilogue)
        } else {
          // The last vector would reach beyond the row.
          let packed = workers.floats(longest * strip, worker: worker)
          tiles.pack(b.element, 0, 0, Int64(count), Int64(depth), right, Int64(b.ld), packed, Int64(strip))
          tiles.strip(
            CPU_F32, m, Int64(count), Int64(depth), a + first, Int64(k), packed, Int64(strip), 0, nil, &epilogue)
        }
      }
    }
  }
}

/// How a product of few rows is cut into tasks that read B in place; the cut changes no result.
private enum SkinnyPlan {
  /// Rows up to which sums are formed in an order of their own.
  ///
  /// With more they are those of `packedMatmul`, so that an example has the same bits in whatever batch.
  private static let few = 16

  /// Rows of B that pass together, and whether the next ones are asked for meanwhile: both fit the second-level cache.
  static func depth(_ problem: MatmulProblem) -> (rows: Int, asks: Bool) {
    problem.m <= few ? (64, true) : (StripPlan.blocks(of: problem.k).depth, false)
  }
  /// Columns of a task with B not transposed, at most.
  private static let widest = 768
  /// Columns of a task with B transposed: rows of B.
  private static let rows = 96

  static func columns(_ problem: MatmulProblem, tiles: CPUTiles, threads: Int) -> Int {
    if problem.transposeB { return rows }
    let strip = Int(tiles.tileColumns)
    let tasks = max((problem.n + widest - 1) / widest, 2 * threads / problem.batch, 1)
    return ((problem.n + tasks - 1) / tasks + strip - 1) / strip * strip
  }
}

/// How a product of few rows is computed with B not transposed: tasks take blocks of its rows (Stream.h).
///
/// The blocks depend on the shape alone, and so do the sums.
private struct StreamPlan {
  /// With more rows arithmetic takes longer than memory, and registers should keep the sums.
  static let tallest = 4
  /// Columns of a task: whole rows where possible, so that a task is consecutive memory.
  private static let widest = 8192
  /// Rows of B in a task.
  private static let deepest = 96

  let depth: Int
  let blocks: Int
  let chunkColumns: Int
  let chunks: Int
  /// Floats of one row of sums.
  let stride: Int

  init(_ problem: MatmulProblem) {
    blocks = max(1, (problem.k + Self.deepest - 1) / Self.deepest)
    depth = ((problem.k + blocks - 1) / blocks + 7) / 8 * 8
    chunks = (problem.n + Self.widest - 1) / Self.widest
    chunkColumns = ((problem.n + chunks - 1) / chunks + 15) / 16 * 16
    stride = (problem.n + 15) / 16 * 16
  }
}

/// Where the elements of op(B) lie.
struct RightOperand {
  let element: CPUElement
  let transposed: Bool
  let ld: Int
  private let bytes: UnsafeRawPointer
  /// Bytes of an element.
  let width: Int
  private let matrixCount: Int

  init(_ problem: MatmulProblem, _ b: Tensor) {
    element = b.element
    transposed = problem.transposeB
    ld = problem.transposeB ? problem.k : problem.n
    bytes = UnsafeRawPointer(b.bytes)
    width = b.dtype.byteCount
    matrixCount = problem.sharedB ? 0 : problem.k * problem.n
  }

  /// The place of an element of op(B).
  func at(matrix: Int, row: Int, column: Int) -> UnsafeRawPointer {
    bytes + (matrix * matrixCount + (transposed ? column * ld + row : row * ld + column)) * width
  }
}

/// What becomes of the sums of a product.
struct Finish {
  private let problem: MatmulProblem
  private let bias: UnsafeMutablePointer<Float>?
  private let addend: UnsafeMutablePointer<Float>?
  private let output: UnsafeMutablePointer<Float>

  init(
    _ problem: MatmulProblem, bias: UnsafeMutablePointer<Float>?, addend: UnsafeMutablePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    self.problem = problem
    self.bias = bias
    self.addend = addend
    self.output = output
  }

  /// The first block of k writes everything but the activation, the others add to that.
  func epilogue(_ matrix: Int, _ row: Int, _ column: Int, isFirst: Bool) -> CPUEpilogue {
    let place = (matrix * problem.m + row) * problem.n + column
    return CPUEpilogue(
      c: output + place, ldc: Int64(problem.n), alpha: problem.alpha, beta: isFirst ? problem.beta : 1,
      addend: isFirst ? addend.map { UnsafePointer($0 + place) } : UnsafePointer(output + place),
      ldAddend: Int64(problem.n), bias: isFirst ? bias.map { UnsafePointer($0 + column) } : nil)
  }

  func activate(_ tiles: CPUTiles, _ matrix: Int, _ rows: Range<Int>, _ columns: Range<Int>) {
    guard let activation = problem.activation else { return }
    for row in rows {
      let place = output + (matrix * problem.m + row) * problem.n + columns.lowerBound
      tiles.activation(activation.tileKind, place, place, Int64(columns.count))
    }
  }
}
