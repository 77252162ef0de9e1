import CPUTiles
import Compute

extension CPUBackend {
  public func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    let skinny = problem.m <= StripPlan.skinnyRows(problem, b.dtype) && !(problem.roundsOperands && b.dtype != .bf16)
    let streams = skinny && !problem.transposeB && problem.m <= StreamPlan.tallest
    let pairs =
      problem.roundsOperands && tiles.pairStrip != nil && (!skinny || problem.m > SkinnyPlan.fewestOfPairs)
    let left = try leftOperand(problem, a, pairs: pairs)
    let right = RightOperand(problem, b)
    let finish = Finish(problem, bias: bias?.floats, addend: addend?.floats, output: output.floats, on: self)
    if streams {
      try streamedMatmul(problem, left.floats, right, finish)
    } else if skinny {
      skinnyMatmul(problem, left.floats, right, finish, pairs: pairs)
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
    let stride = words * MemoryLayout<Float>.stride
    let bypasses: Int32 = bypassesCaches(rounded.count, rows: y, strideInBytes: stride) ? 1 : 0
    workers.runRanges(batch * m, grain: Self.rowGrain(k)) { range, _ in
      for row in range {
        if pairs {
          (y + row * words).withMemoryRebound(to: UInt32.self, capacity: words) {
            tiles.roundPairs(x + row * k, $0, Int64(k), bypasses)
          }
        } else {
          tiles.roundToBF16(x + row * k, y + row * k, Int64(k))
        }
      }
    }
    return rounded
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
  /// Whether products of many rows write the output past the caches: not if it is read again at once.
  private let bypassesCaches: Bool

  init(
    _ problem: MatmulProblem, bias: UnsafeMutablePointer<Float>?, addend: UnsafeMutablePointer<Float>?,
    output: UnsafeMutablePointer<Float>, on backend: CPUBackend
  ) {
    self.problem = problem
    self.bias = bias
    self.addend = addend
    self.output = output
    bypassesCaches =
      problem.activation == nil
      && backend.bypassesCaches(
        problem.batch * problem.m * problem.n, rows: output, strideInBytes: problem.n * MemoryLayout<Float>.stride)
  }

  /// The first block of k writes everything but the activation, the others add to that.
  func epilogue(_ matrix: Int, _ row: Int, _ column: Int, isFirst: Bool) -> CPUEpilogue {
    let c = place(matrix, row, column)
    return CPUEpilogue(
      c: c, ldc: Int64(problem.n), alpha: problem.alpha, beta: isFirst ? problem.beta : 1,
      addend: isFirst ? addend(matrix, row, column) : UnsafePointer(c), ldAddend: Int64(problem.n),
      bias: isFirst ? bias.map { UnsafePointer($0 + column) } : nil, bypasses: 0)
  }

  /// As `epilogue`, with what is not the last block of k kept in memory of the worker's own, `[rows][ld]`, so that the
  /// output is written once.
  func epilogue(
    _ matrix: Int, _ row: Int, _ column: Int, isFirst: Bool, isLast: Bool, partial: UnsafeMutablePointer<Float>,
    ld: Int
  ) -> CPUEpilogue {
    CPUEpilogue(
      c: isLast ? place(matrix, row, column) : partial, ldc: Int64(isLast ? problem.n : ld), alpha: problem.alpha,
      beta: isFirst ? problem.beta : 1, addend: isFirst ? addend(matrix, row, column) : UnsafePointer(partial),
      ldAddend: Int64(isFirst ? problem.n : ld), bias: isFirst ? bias.map { UnsafePointer($0 + column) } : nil,
      bypasses: isLast && bypassesCaches ? 1 : 0)
  }

  private func place(_ matrix: Int, _ row: Int, _ column: Int) -> UnsafeMutablePointer<Float> {
    output + (matrix * problem.m + row) * problem.n + column
  }

  private func addend(_ matrix: Int, _ row: Int, _ column: Int) -> UnsafePointer<Float>? {
    addend.map { UnsafePointer($0 + (matrix * problem.m + row) * problem.n + column) }
  }

  func activate(_ tiles: CPUTiles, _ matrix: Int, _ rows: Range<Int>, _ columns: Range<Int>) {
    guard let activation = problem.activation else { return }
    for row in rows {
      let place = output + (matrix * problem.m + row) * problem.n + columns.lowerBound
      tiles.activation(activation.tileKind, place, place, Int64(columns.count), 0)
    }
  }
}
