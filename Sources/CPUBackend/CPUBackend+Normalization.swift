import CPUTiles
import Compute

extension CPUBackend {
  public func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor
  ) throws {
    let (source, weight, bias, n) = (x.floats, weight.floats, bias?.floats, x.columnCount)
    let (destination, mean, rstd) = (output.floats, mean.floats, rstd.floats)
    workers.runRanges(x.rowCount, grain: Self.rowGrain(n)) { rows, _ in
      for row in rows {
        tiles.layerNorm(
          source + row * n, weight, bias, epsilon, destination + row * n, mean + row, rstd + row, Int64(n))
      }
    }
  }

  public func layerNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, into output: Tensor
  ) throws {
    let (c, source, weight, n) = (cotangent.floats, x.floats, weight.floats, x.columnCount)
    let (destination, mean, rstd) = (output.floats, mean.floats, rstd.floats)
    workers.runRanges(x.rowCount, grain: Self.rowGrain(n)) { rows, _ in
      for row in rows {
        tiles.layerNormBackward(
          c + row * n, source + row * n, weight, mean[row], rstd[row], destination + row * n, Int64(n))
      }
    }
  }

  public func layerNormBackwardParameters(
    _ cotangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor?
  ) throws {
    normParameters(cotangent, x: x, mean: mean, rstd: rstd, weight: weight, bias: bias)
  }

  public func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, into output: Tensor, rstd: Tensor) throws {
    let (source, weight, n) = (x.floats, weight.floats, x.columnCount)
    let (destination, rstd) = (output.floats, rstd.floats)
    workers.runRanges(x.rowCount, grain: Self.rowGrain(n)) { rows, _ in
      for row in rows {
        tiles.rmsNorm(source + row * n, weight, epsilon, destination + row * n, rstd + row, Int64(n))
      }
    }
  }

  public func rmsNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, into output: Tensor
  ) throws {
    let (c, source, weight, n) = (cotangent.floats, x.floats, weight.floats, x.columnCount)
    let (destination, rstd) = (output.floats, rstd.floats)
    workers.runRanges(x.rowCount, grain: Self.rowGrain(n)) { rows, _ in
      for row in rows {
        tiles.rmsNormBackward(c + row * n, source + row * n, weight, rstd[row], destination + row * n, Int64(n))
      }
    }
  }

  public func rmsNormBackwardWeight(_ cotangent: Tensor, x: Tensor, rstd: Tensor, into output: Tensor) throws {
    normParameters(cotangent, x: x, mean: nil, rstd: rstd, weight: output, bias: nil)
  }

  private func normParameters(
    _ cotangent: Tensor, x: Tensor, mean: Tensor?, rstd: Tensor, weight: Tensor, bias: Tensor?
  ) {
    let (c, source, n, rows) = (cotangent.floats, x.floats, x.columnCount, Int64(x.rowCount))
    let (mean, rstd, weight, bias) = (mean?.floats, rstd.floats, weight.floats, bias?.floats)
    workers.runRanges(n, grain: Self.columnGrain) { columns, _ in
      let first = columns.lowerBound
      tiles.normParameters(
        c + first, source + first, mean, rstd, Int64(n), rows, Int64(columns.count), weight + first,
        bias.map { $0 + first })
    }
  }
}
