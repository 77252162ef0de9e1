import CPUTiles
import Compute

extension CPUBackend {
  public func add(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    combine(a, b, output, tiles.add)
  }

  public func multiply(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    combine(a, b, output, tiles.multiply)
  }

  /// Applies `operation` to whole tensors, or to every row of `a` with the one row `b`.
  private func combine(
    _ a: Tensor, _ b: Tensor, _ output: Tensor,
    _ operation: @convention(c) (UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int64) -> Void
  ) {
    let (x, y, z) = (a.floats, b.floats, output.floats)
    if b.count == a.count {
      workers.runRanges(a.count, grain: Self.elementGrain) { range, _ in
        let first = range.lowerBound
        operation(x + first, y + first, z + first, Int64(range.count))
      }
    } else {
      let n = a.columnCount
      workers.runRanges(a.rowCount, grain: Self.rowGrain(n)) { rows, _ in
        for row in rows { operation(x + row * n, y, z + row * n, Int64(n)) }
      }
    }
  }

  public func scale(_ x: Tensor, by factor: Float, into output: Tensor) throws {
    let (x, y, count) = (x.floats, output.floats, x.count)
    workers.runRanges(count, grain: Self.elementGrain) { range, _ in
      tiles.scale(x + range.lowerBound, factor, y + range.lowerBound, Int64(range.count))
    }
  }

  public func addScaled(_ x: Tensor, by factor: Float, onto accumulator: Tensor) throws {
    let (x, y, count) = (x.floats, accumulator.floats, x.count)
    workers.runRanges(count, grain: Self.elementGrain) { range, _ in
      tiles.addScaled(x + range.lowerBound, factor, y + range.lowerBound, Int64(range.count))
    }
  }

  public func scaleRows(_ x: Tensor, by factors: Tensor, into output: Tensor) throws {
    let (source, factor, destination, n) = (x.floats, factors.floats, output.floats, x.columnCount)
    workers.runRanges(x.rowCount, grain: Self.rowGrain(n)) { rows, _ in
      for row in rows { tiles.scale(source + row * n, factor[row], destination + row * n, Int64(n)) }
    }
  }

  public func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64, into output: Tensor) throws {
    let (x, y, count) = (x.floats, output.floats, x.count)
    workers.runRanges(count, grain: Self.elementGrain) { range, _ in
      let first = range.lowerBound
      tiles.dropout(x + first, y + first, Int64(first), Int64(range.count), probability, seed, stream)
    }
  }
}
