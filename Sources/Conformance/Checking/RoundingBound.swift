import Foundation

/// How far apart two right results of one kernel may lie, element by element.
///
/// The bounds are coarser than those of the conformance cases: they are made of the largest magnitudes that go into a
/// result, not of every term.
struct RoundingBound: Sendable {
  private let bound: @Sendable (Int, Double) -> Double

  init(_ bound: @escaping @Sendable (Int, Double) -> Double) { self.bound = bound }

  /// The bound of an element, from its index and its expected value.
  func callAsFunction(_ index: Int, _ expected: Double) -> Double { bound(index, expected) }

  /// Copies: nothing but what may be flushed to zero.
  static let exact = RoundingBound { _, _ in Tracked.tiny }

  /// This many units in the last place of the result.
  static func relative(_ units: Double) -> RoundingBound {
    RoundingBound { _, expected in units * Tracked.unit * abs(expected) + Tracked.tiny }
  }

  /// This many units of a magnitude, and of the result itself.
  static func absolute(_ units: Double, of magnitude: Double) -> RoundingBound {
    RoundingBound { _, expected in units * Tracked.unit * (magnitude + abs(expected)) + Tracked.tiny }
  }

  /// What rounding adds up to over a sum of this many terms, in units, on both sides.
  static func growth(_ terms: Int) -> Double { 4 * Double(terms).squareRoot() + 32 }
}
