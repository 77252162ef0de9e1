import CPUTiles
import Compute

extension CPUBackend {
  /// Elements of one partial sum; fixed, so that sums do not depend on the number of threads.
  static let partialCount = 4096

  public func sumOfSquares(_ x: Tensor) throws -> Double { partialSums(x, tiles.sumOfSquares) }

  public func sum(_ x: Tensor) throws -> Double { partialSums(x, tiles.sum) }

  private func partialSums(_ x: Tensor, _ partial: @convention(c) (UnsafePointer<Float>, Int64) -> Float) -> Double {
    let source = x.floats
    return sumOfPartials(count: x.count) { range, _ in partial(source + range.lowerBound, Int64(range.count)) }
  }

  /// The sum, in order and in Double, of what `partial` makes of each range of `partialCount` elements.
  func sumOfPartials(count: Int, _ partial: (Range<Int>, _ worker: Int) -> Float) -> Double {
    let parts = (count + Self.partialCount - 1) / Self.partialCount
    var sums = [Float](repeating: 0, count: parts)
    sums.withUnsafeMutableBufferPointer { sums in
      let sums = sums
      workers.runRanges(parts, grain: 8) { range, worker in
        for part in range {
          let first = part * Self.partialCount
          sums[part] = partial(first..<min(count, first + Self.partialCount), worker)
        }
      }
    }
    return sums.reduce(0) { $0 + Double($1) }
  }

  public func firstNonFinite(_ x: Tensor) throws -> Int? {
    let (source, count) = (x.floats, x.count)
    let parts = (count + Self.elementGrain - 1) / Self.elementGrain
    var places = [Int64](repeating: -1, count: parts)
    places.withUnsafeMutableBufferPointer { places in
      let places = places
      workers.runRanges(count, grain: Self.elementGrain) { range, _ in
        let found = tiles.firstNonFinite(source + range.lowerBound, Int64(range.count))
        if found >= 0 { places[range.lowerBound / Self.elementGrain] = Int64(range.lowerBound) + found }
      }
    }
    return places.first { $0 >= 0 }.map { Int($0) }
  }
}
