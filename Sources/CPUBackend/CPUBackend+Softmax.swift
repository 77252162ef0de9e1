import CPUTiles
import Compute

extension CPUBackend {
  /// Rows of one task where each element costs an exponential.
  private static func exponentialRowGrain(_ columns: Int) -> Int { max(1, rowGrain(columns) / 2) }

  public func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws {
    let (source, mask, destination, n) = (x.floats, mask?.floats, output.floats, x.columnCount)
    workers.runRanges(x.rowCount, grain: Self.exponentialRowGrain(n)) { rows, _ in
      for row in rows {
        tiles.softmax(source + row * n, mask.map { $0 + row * n }, scale, destination + row * n, Int64(n))
      }
    }
  }

  public func softmaxBackward(_ cotangent: Tensor, y: Tensor, scale: Float, into output: Tensor) throws {
    let (c, p, destination, n) = (cotangent.floats, y.floats, output.floats, y.columnCount)
    workers.runRanges(y.rowCount, grain: Self.rowGrain(n)) { rows, _ in
      for row in rows {
        tiles.softmaxBackward(c + row * n, p + row * n, scale, destination + row * n, Int64(n))
      }
    }
  }

  public func crossEntropy(
    _ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor
  ) throws {
    let (x, label, n) = (logits.floats, labels.tensor.integers, logits.columnCount)
    let (loss, sums) = (losses.floats, logSumExp.floats)
    workers.runRanges(labels.count, grain: Self.exponentialRowGrain(n)) { rows, _ in
      for row in rows {
        sums[row] = tiles.logSumExp(x + row * n, Int64(n))
        loss[row] = label[row] == ignoreIndex ? 0 : sums[row] - x[row * n + Int(label[row])]
      }
    }
  }

  public func crossEntropyBackward(
    _ cotangent: Tensor, logits: Tensor, _ labels: Indices, ignoreIndex: Int32, logSumExp: Tensor,
    into output: Tensor
  ) throws {
    let (c, x, label, n) = (cotangent.floats, logits.floats, labels.tensor.integers, logits.columnCount)
    let (sums, y) = (logSumExp.floats, output.floats)
    workers.runRanges(labels.count, grain: Self.exponentialRowGrain(n)) { rows, _ in
      for row in rows {
        if label[row] == ignoreIndex {
          tiles.fill(y + row * n, 0, Int64(n))
        } else {
          tiles.scaledExp(x + row * n, sums[row], c[row], y + row * n, Int64(n))
          y[row * n + Int(label[row])] -= c[row]
        }
      }
    }
  }
}
