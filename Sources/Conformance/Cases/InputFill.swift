import Compute
import Foundation

/// A small generator for inputs (SplitMix64: Steele, Lea and Flood, 2014): a case's name alone decides its numbers.
struct InputGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// Seeds by the FNV-1a hash of a name.
  init(name: String) {
    state = name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform on [0, 1).
  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func normal() -> Double {
    (-2 * log(1 - uniform())).squareRoot() * cos(2 * Double.pi * uniform())
  }

  mutating func index(below bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// How an input of a case is filled.
enum InputFill: Sendable {
  /// Normal numbers of this standard deviation about a mean.
  case normal(deviation: Double = 1, mean: Double = 0)
  case uniform(Double, Double)
  /// Multiples of 1/8 from -2 to 2, which bfloat16 holds exactly.
  case eighths
  /// Positive, with the logarithm to base 2 uniform between these.
  case magnitudes(Double, Double)
  case constant(Double)
  /// Each row one random number throughout.
  case equalRows
  /// Pairs of large numbers that cancel, and small ones.
  case cancelling
  /// Rows about +88 and -88, where exp overflows and underflows.
  case nearOverflow
  /// Below the smallest normal `f32`.
  case denormal
  /// Normal numbers with these values at these places (from the end if negative).
  case normalWith([(place: Int, value: Double)])
  /// Exactly these.
  case values([Double])
  /// 0 or -infinity: each element hidden with this probability; rows with `everything % 3 == 1` keep one, every
  /// third row nothing.
  case mask(hidden: Double)
  /// Row numbers, with repetitions.
  case indices(below: Int)
  /// Different row numbers.
  case distinctIndices(below: Int)
  /// Class numbers, every third one ignored.
  case labels(below: Int, ignoring: Int32?)
  /// 0, 1, 2, ...
  case counting(from: Int = 0)

  func values(_ shape: Shape, _ generator: inout InputGenerator) -> [Float] {
    let (count, columns) = (shape.count, max(shape.columns, 1))
    var result = [Double](repeating: 0, count: count)
    switch self {
    case .normal(let deviation, let mean):
      for i in 0..<count { result[i] = mean + deviation * generator.normal() }
    case .uniform(let low, let high):
      for i in 0..<count { result[i] = low + (high - low) * generator.uniform() }
    case .eighths: for i in 0..<count { result[i] = Double(generator.index(below: 33) - 16) / 8 }
    case .magnitudes(let low, let high):
      for i in 0..<count { result[i] = exp2(low + (high - low) * generator.uniform()) }
    case .constant(let value): result = [Double](repeating: value, count: count)
    case .equalRows:
      for row in 0..<shape.rows {
        let value = generator.normal()
        for j in 0..<columns { result[row * columns + j] = value }
      }
    case .cancelling:
      for i in 0..<count {
        switch i % 3 {
        case 0: result[i] = 1000 * generator.normal()
        case 1: result[i] = -result[i - 1]
        default: result[i] = generator.normal()
        }
      }
    case .nearOverflow:
      for i in 0..<count { result[i] = (i / columns % 2 == 0 ? 88 : -88) + 3 * generator.normal() }
    case .denormal:
      for i in 0..<count { result[i] = 0x1p-130 * generator.normal() }
    case .normalWith(let places):
      for i in 0..<count { result[i] = generator.normal() }
      for (place, value) in places where count > 0 { result[place < 0 ? count + place : place] = value }
    case .values(let values): result = values
    case .mask(let hidden):
      for row in 0..<shape.rows {
        let kept = generator.index(below: columns)
        for j in 0..<columns {
          let hides =
            switch row % 3 {
            case 0: generator.uniform() < hidden
            case 1: j != kept
            default: true
            }
          if hides { result[row * columns + j] = -.infinity }
        }
      }
    case .indices(let bound):
      for i in 0..<count { result[i] = Double(generator.index(below: bound)) }
    case .distinctIndices(let bound):
      var order = Array(0..<bound)
      for i in 0..<count {
        order.swapAt(i, i + generator.index(below: bound - i))
        result[i] = Double(order[i])
      }
    case .labels(let bound, let ignored):
      for i in 0..<count {
        let label = generator.index(below: bound)
        result[i] = Double(label)
        if let ignored, i % 3 == 1 { result[i] = Double(ignored) }
      }
    case .counting(let start):
      for i in 0..<count { result[i] = Double(start + i) }
    }
    return result.map { Float($0) }
  }
}
