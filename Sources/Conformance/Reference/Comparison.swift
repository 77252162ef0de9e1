import Foundation

/// The element of a result that is furthest from what it must be, in units of what it may be off.
public struct WorstError: Sendable, Hashable, Codable {
  /// `output.0`, `gradient.1`, ...
  public var tensor: String
  /// Counted from 0, in row-major order.
  public var index: Int
  public var got: Double
  public var expected: Double
  /// The allowed difference at this element.
  public var tolerance: Double
  /// The difference in units in the last place of the expected value, as an `f32`.
  public var ulps: Double
  /// Difference over tolerance; infinite where no number can be given.
  public var ratio: Double

  var description: String {
    String(
      format: "%@[%d] is %.9g, not %.9g: off by %.3g, allowed %.3g, %.1f ulp", tensor, index, got, expected,
      abs(got - expected), tolerance, ulps)
  }

  // JSON has no infinities: non-finite numbers are written as strings.
  private enum CodingKeys: String, CodingKey { case tensor, index, got, expected, tolerance, ulps, ratio }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(tensor, forKey: .tensor)
    try container.encode(index, forKey: .index)
    for (key, value) in [
      (CodingKeys.got, got), (.expected, expected), (.tolerance, tolerance), (.ulps, ulps), (.ratio, ratio),
    ] {
      if value.isFinite {
        try container.encode(value, forKey: key)
      } else {
        try container.encode("\(value)", forKey: key)
      }
    }
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func number(_ key: CodingKeys) throws -> Double {
      if let value = try? container.decode(Double.self, forKey: key) { return value }
      return Double(try container.decode(String.self, forKey: key)) ?? .nan
    }
    tensor = try container.decode(String.self, forKey: .tensor)
    index = try container.decode(Int.self, forKey: .index)
    (got, expected) = (try number(.got), try number(.expected))
    (tolerance, ulps, ratio) = (try number(.tolerance), try number(.ulps), try number(.ratio))
  }

  init(tensor: String, index: Int, got: Double, expected: Double, tolerance: Double) {
    self.tensor = tensor
    self.index = index
    self.got = got
    self.expected = expected
    self.tolerance = tolerance
    let nearest = Float(expected)
    ulps = nearest.isFinite ? abs(got - expected) / Double(max(nearest.ulp, Float.leastNormalMagnitude.ulp)) : .nan
    let difference = abs(got - expected)
    // NaN on either side, and unlike infinities, leave a NaN here and count as infinitely wrong.
    if got == expected {
      ratio = 0
    } else if difference <= tolerance {
      ratio = difference / tolerance
    } else {
      ratio = difference > tolerance && tolerance > 0 ? difference / tolerance : .infinity
    }
  }

  var passes: Bool { ratio <= 1 }
}

/// Compares results with what they must be.
enum Comparison {
  /// Rounding that a first-order error analysis does not see, and other ways to write the same formula.
  private static let slack = 2.0

  /// - Parameter allowsNaN: the case feeds NaN in, so that a NaN is right where the reference has one.
  static func worst(_ name: String, _ got: [Double], _ expectation: Expectation, allowsNaN: Bool) -> WorstError? {
    var worst: WorstError?
    for (index, expected) in expectation.values.enumerated() {
      let value = got[index]
      if allowsNaN, expected.value.isNaN, value.isNaN { continue }
      // Without a bound there is no telling: a NaN tolerance lets nothing pass but equality.
      var tolerance = expected.error.isFinite ? slack * expected.error + 2 * Tracked.tiny : .nan
      // Copies are exact, but for what may be flushed to zero.
      if expected.error == 0 { tolerance = abs(expected.value) < Tracked.tiny ? Tracked.tiny : 0 }
      var target = expected.value
      // Beyond the range of f32, infinity is the right answer.
      if value.isInfinite, target.isFinite, (value > 0) == (target > 0),
        abs(target) + tolerance >= Double(Float.greatestFiniteMagnitude)
      {
        target = value
      }
      let error = WorstError(
        tensor: name, index: index, got: value, expected: target, tolerance: target.isFinite ? tolerance : 0)
      if worst == nil || error.ratio > worst?.ratio ?? 0 { worst = error }
    }
    return worst
  }

  /// The rule of vector files: equal, or within `absolute + relative |expected|`; NaN never passes.
  static func worst(_ name: String, _ got: [Double], _ expected: [Double], absolute: Double, relative: Double)
    -> WorstError?
  {
    var worst: WorstError?
    for (index, value) in got.enumerated() {
      let target = expected[index]
      let bothFlushed = abs(value) < Tracked.tiny && abs(target) < Tracked.tiny
      let tolerance = target.isFinite ? absolute + relative * abs(target) : 0
      let error = WorstError(
        tensor: name, index: index, got: value, expected: bothFlushed ? value : target, tolerance: tolerance)
      if worst == nil || error.ratio > worst?.ratio ?? 0 { worst = error }
    }
    return worst
  }
}
