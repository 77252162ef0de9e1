import CPUTiles
import Compute

extension CPUBackend {
  /// Arithmetic in registers, a task for each thread.
  public func multiplyAdds(_ arithmetic: PeakArithmetic, rounds: Int) throws -> Double? {
    let operationsPerLane: Int
    let loop: @convention(c) (Int64, Float, Float) -> Float
    switch arithmetic {
    case .f32: (operationsPerLane, loop) = (2, tiles.multiplyAdds)
    case .bf16:
      guard let pairs = tiles.multiplyAddPairs else { return nil }
      (operationsPerLane, loop) = (4, pairs)
    }
    // Written down, so that no compiler finds the loop useless.
    let results = try allocate([workers.count], .f32)
    let sums = results.floats
    workers.run(workers.count) { task, _ in sums[task] = loop(Int64(rounds), 0.875, 0.125) }
    return Double(operationsPerLane * Int(tiles.lanes) * Int(tiles.peakSums)) * Double(rounds * workers.count)
  }
}
