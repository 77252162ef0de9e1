import CPUTiles
import Compute

extension CPUBackend {
  /// Elements of one task: an exponential costs more than an addition.
  private static let activationGrain = elementGrain / 4

  public func activation(_ kind: Activation, _ x: Tensor, into output: Tensor) throws {
    let (x, y, count, kind) = (x.floats, output.floats, x.count, kind.tileKind)
    let bypasses: Int32 = bypassesCaches(count, rows: y, strideInBytes: 0) ? 1 : 0
    workers.runRanges(count, grain: Self.activationGrain) { range, _ in
      tiles.activation(kind, x + range.lowerBound, y + range.lowerBound, Int64(range.count), bypasses)
    }
  }

  public func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor, into output: Tensor) throws {
    let (c, x, y, count, kind) = (cotangent.floats, x.floats, output.floats, x.count, kind.tileKind)
    let bypasses: Int32 = bypassesCaches(count, rows: y, strideInBytes: 0) ? 1 : 0
    workers.runRanges(count, grain: Self.activationGrain) { range, _ in
      let first = range.lowerBound
      tiles.activationBackward(kind, c + first, x + first, y + first, Int64(range.count), bypasses)
    }
  }

  public func gated(_ kind: Activation, gate: Tensor, up: Tensor, into output: Tensor) throws {
    let (g, u, y, count, kind) = (gate.floats, up.floats, output.floats, gate.count, kind.tileKind)
    workers.runRanges(count, grain: Self.activationGrain) { range, _ in
      let first = range.lowerBound
      tiles.gated(kind, g + first, u + first, y + first, Int64(range.count))
    }
  }

  public func gatedBackward(
    _ kind: Activation, _ cotangent: Tensor, gate: Tensor, up: Tensor, gateGradient: Tensor, upGradient: Tensor
  ) throws {
    let (c, g, u) = (cotangent.floats, gate.floats, up.floats)
    let (dg, du, count, kind) = (gateGradient.floats, upGradient.floats, gate.count, kind.tileKind)
    workers.runRanges(count, grain: Self.activationGrain) { range, _ in
      let first = range.lowerBound
      tiles.gatedBackward(kind, c + first, g + first, u + first, dg + first, du + first, Int64(range.count))
    }
  }
}
