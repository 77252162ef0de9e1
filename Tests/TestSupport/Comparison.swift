import Testing

/// How far two lists of numbers are apart, and where they differ most.
public struct Difference: Sendable, CustomStringConvertible {
  public enum Measure: String, Sendable {
    /// |got - expected|
    case absolute
    /// |got - expected| / max(|expected|, floor)
    case relative
    /// |got - expected| in units in the last place of the expected value, as an `f32`.
    case ulp
  }

  /// The largest difference; infinite where a NaN is on either side or infinities are unlike.
  public let error: Double
  /// Where it is; nil for empty lists.
  public let index: Int?
  public let got: Double
  public let expected: Double
  public let measure: Measure

  public var description: String {
    guard let index else { return "no element" }
    return "[\(index)] is \(got), not \(expected): \(measure.rawValue) error \(error)"
  }
}

/// The worst difference between two lists of equal length.
///
/// - Parameter floor: in a relative measure, the smallest magnitude that is divided by.
public func worstDifference(
  _ got: [Double], _ expected: [Double], _ measure: Difference.Measure = .absolute, floor: Double = 1e-30
) -> Difference {
  precondition(got.count == expected.count, "\(got.count) values, \(expected.count) are expected")
  var worst = Difference(error: 0, index: nil, got: 0, expected: 0, measure: measure)
  for (index, (value, target)) in zip(got, expected).enumerated() {
    let unit: Double =
      switch measure {
      case .absolute: 1
      case .relative: max(abs(target), floor)
      case .ulp: Double(max(Float(target).ulp, Float.leastNormalMagnitude.ulp))
      }
    var error = value == target ? 0 : abs(value - target) / unit
    if error.isNaN { error = .infinity }
    if worst.index == nil || error > worst.error {
      worst = Difference(error: error, index: index, got: value, expected: target, measure: measure)
    }
  }
  return worst
}

/// Records an issue unless two lists have one length and differ nowhere by more than a tolerance.
///
/// NaN never passes.
public func expectClose(
  _ got: [Float], _ expected: [Double], within tolerance: Double, _ measure: Difference.Measure = .absolute,
  floor: Double = 1e-30, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
  guard got.count == expected.count else {
    Issue.record("\(got.count) values, not \(expected.count). \(comment ?? "")", sourceLocation: sourceLocation)
    return
  }
  let worst = worstDifference(got.map(Double.init), expected, measure, floor: floor)
  guard worst.error <= tolerance else {
    Issue.record("\(worst), allowed \(tolerance). \(comment ?? "")", sourceLocation: sourceLocation)
    return
  }
}

/// As above, for values that were computed in `f32` on both sides.
public func expectClose(
  _ got: [Float], _ expected: [Float], within tolerance: Double, _ measure: Difference.Measure = .absolute,
  floor: Double = 1e-30, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
  expectClose(
    got, expected.map(Double.init), within: tolerance, measure, floor: floor, comment, sourceLocation: sourceLocation)
}
