import CPUTiles
import Compute

/// Products with few rows, which read B in place.
extension CPUBackend {
  /// Few rows: B is read once, in order, by blocks of its rows; their sums are added up afterwards.
  func streamedMatmul(
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
  ///
  /// - Parameter pairs: whether A is made of pairs of bf16 values; B is then in bf16.
  func skinnyMatmul(
    _ problem: MatmulProblem, _ a: UnsafeMutablePointer<Float>, _ b: RightOperand, _ finish: Finish, pairs: Bool
  ) {
    let (m, n, ldA) = (problem.m, problem.n, pairs ? (problem.k + 1) / 2 : problem.k)
    let width = SkinnyPlan.columns(problem, tiles: tiles, threads: workers.count)
    let perMatrix = (n + width - 1) / width
    workers.run(problem.batch * perMatrix) { task, worker in
      let (matrix, chunk) = (task / perMatrix, task % perMatrix)
      let columns = chunk * width..<min(n, (chunk + 1) * width)
      let left = LeftRows(floats: a + matrix * m * ldA, ld: ldA, pairs: pairs)
      if b.transposed {
        let epilogue = finish.epilogue(matrix, 0, columns.lowerBound, isFirst: true)
        skinnyDots(problem, columns.count, left, b, b.at(matrix: matrix, row: 0, column: columns.lowerBound), epilogue)
      } else {
        skinnyStrips(problem, matrix, columns, left, b, finish, worker: worker)
      }
      finish.activate(tiles, matrix, 0..<m, columns)
    }
  }

  /// Products with `count` rows of B from `rows` on.
  private func skinnyDots(
    _ problem: MatmulProblem, _ count: Int, _ a: LeftRows, _ b: RightOperand, _ rows: UnsafeRawPointer,
    _ epilogue: CPUEpilogue
  ) {
    let (m, n, k, ldA, ldB) = (Int64(problem.m), Int64(count), Int64(problem.k), Int64(a.ld), Int64(b.ld))
    withUnsafePointer(to: epilogue) { epilogue in
      if a.pairs, let dotPairs = tiles.dotPairs {
        dotPairs(m, n, k, a.words(from: 0), ldA, rows.assumingMemoryBound(to: UInt16.self), ldB, epilogue)
      } else {
        tiles.dots(b.element, m, n, k, a.floats, ldA, rows, ldB, epilogue)
      }
    }
  }

  /// Some columns of a product with B not transposed.
  ///
  /// Blocks of B's rows pass one after the other; while one is in the second-level cache, the next comes from memory.
  private func skinnyStrips(
    _ problem: MatmulProblem, _ matrix: Int, _ columns: Range<Int>, _ a: LeftRows, _ b: RightOperand,
    _ finish: Finish, worker: Int
  ) {
    let (k, strip) = (problem.k, Int(tiles.tileColumns))
    let (longest, asks) = SkinnyPlan.depth(problem, pairs: a.pairs)
    for first in stride(from: 0, to: max(k, 1), by: longest) {
      let depth = min(longest, k - first)
      let ahead = asks && first + longest < k ? longest : 0
      for column in stride(from: columns.lowerBound, to: columns.upperBound, by: strip) {
        let count = min(strip, columns.upperBound - column)
        let epilogue = finish.epilogue(matrix, 0, column, isFirst: first == 0)
        let right = b.at(matrix: matrix, row: first, column: column)
        // The last vector would reach beyond the row: what does not fill vectors is packed.
        let packed = count % Int(tiles.lanes) == 0 ? nil : workers.floats(longest * strip, worker: worker)
        let part = SkinnyPart(row: first, depth: depth, columns: count, ahead: ahead)
        if a.pairs {
          skinnyPairs(problem, part, a, b, right, packed: packed, epilogue)
        } else {
          skinnyStrip(problem, part, a, b, right, packed: packed, epilogue)
        }
      }
    }
  }

  private func skinnyStrip(
    _ problem: MatmulProblem, _ part: SkinnyPart, _ a: LeftRows, _ b: RightOperand, _ right: UnsafeRawPointer,
    packed: UnsafeMutablePointer<Float>?, _ epilogue: CPUEpilogue
  ) {
    let (m, columns, depth) = (Int64(problem.m), Int64(part.columns), Int64(part.depth))
    let (left, ldA, ld) = (a.floats + part.row, Int64(a.ld), Int64(tiles.tileColumns))
    withUnsafePointer(to: epilogue) { epilogue in
      if let packed {
        tiles.pack(b.element, 0, 0, columns, depth, right, Int64(b.ld), packed, ld)
        tiles.strip(CPU_F32, m, columns, depth, left, ldA, packed, ld, 0, nil, epilogue)
      } else {
        tiles.strip(b.element, m, columns, depth, left, ldA, right, Int64(b.ld), Int64(part.ahead), nil, epilogue)
      }
    }
  }

  private func skinnyPairs(
    _ problem: MatmulProblem, _ part: SkinnyPart, _ a: LeftRows, _ b: RightOperand, _ right: UnsafeRawPointer,
    packed: UnsafeMutablePointer<Float>?, _ epilogue: CPUEpilogue
  ) {
    guard let pairStrip = tiles.pairStrip, let unpackedPairStrip = tiles.unpackedPairStrip else {
      preconditionFailure("no products of pairs")
    }
    let (m, columns, depth) = (Int64(problem.m), Int64(part.columns), Int64(part.depth))
    let (left, ldA, ld) = (a.words(from: part.row / 2), Int64(a.ld), Int64(tiles.tileColumns))
    withUnsafePointer(to: epilogue) { epilogue in
      if let packed {
        let words = UnsafeMutableRawPointer(packed).assumingMemoryBound(to: UInt32.self)
        tiles.packPairs(b.element, 0, columns, depth, right, Int64(b.ld), words, ld)
        pairStrip(m, columns, depth, left, ldA, words, ld, nil, epilogue)
      } else {
        unpackedPairStrip(
          m, columns, depth, left, ldA, right.assumingMemoryBound(to: UInt16.self), Int64(b.ld), Int64(part.ahead),
          epilogue)
      }
    }
  }
}

/// A strip of a block of B's rows.
private struct SkinnyPart {
  let row: Int
  let depth: Int
  let columns: Int
  /// How many rows further B is asked for meanwhile; 0 for not at all.
  let ahead: Int
}

/// Rows of A as they are or, rounded, as pairs of bf16 values.
private struct LeftRows {
  let floats: UnsafeMutablePointer<Float>
  /// From one row to the next, in floats or words.
  let ld: Int
  let pairs: Bool

  func words(from word: Int) -> UnsafePointer<UInt32> {
    UnsafeRawPointer(floats + word).assumingMemoryBound(to: UInt32.self)
  }
}

/// How a product of few rows is cut into tasks that read B in place; the cut changes no result.
enum SkinnyPlan {
  /// Rows up to which sums are formed in an order of their own.
  ///
  /// With more they are those of `packedMatmul`, so that an example has the same bits in whatever batch.
  private static let few = 16

  /// Rows of B that pass together, and whether the next ones are asked for meanwhile: both fit the second-level cache.
  static func depth(_ problem: MatmulProblem, pairs: Bool) -> (rows: Int, asks: Bool) {
    problem.m <= few ? (pairs ? 128 : 96, true) : (StripPlan.blocks(of: problem.k).depth, false)
  }
  /// With more rows than these, arithmetic takes longer than memory, and rounded operands are multiplied as pairs.
  static let fewestOfPairs = 4
  /// Columns of a task with B not transposed, at most.
  private static let widest = 768
  /// Tasks of a thread, at least: the last ones should not leave others waiting.
  private static let tasksOfThread = 8
  /// Columns of a task with B transposed: rows of B.
  private static let rows = 96

  static func columns(_ problem: MatmulProblem, tiles: CPUTiles, threads: Int) -> Int {
    if problem.transposeB { return rows }
    let strip = Int(tiles.tileColumns)
    let tasks = max((problem.n + widest - 1) / widest, tasksOfThread * threads / problem.batch, 1)
    return ((problem.n + tasks - 1) / tasks + strip - 1) / strip * strip
  }
}

/// How a product of few rows is computed with B not transposed: tasks take blocks of its rows (Stream.h).
///
/// The blocks depend on the shape alone, and so do the sums.
struct StreamPlan {
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
