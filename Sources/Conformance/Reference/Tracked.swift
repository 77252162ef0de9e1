import Foundation

/// A value in exact arithmetic (Double), and how far the same computation in `f32` may be from it.
///
/// Running error analysis (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.3): every step
/// adds its own rounding to what it inherits. A reference written with these numbers yields its tolerance by itself:
/// long sums, cancellation and steep functions widen it, and nothing else does.
struct Tracked: Sendable {
  var value: Double
  /// The largest difference that rounding explains.
  var error: Double

  /// The unit roundoff of `f32`.
  static let unit = 0x1p-24
  /// Results below it may be flushed to zero.
  static let tiny = 0x1p-126

  init(_ value: Double, error: Double = 0) {
    self.value = value
    self.error = error
  }

  static func + (a: Tracked, b: Tracked) -> Tracked {
    let value = a.value + b.value
    return Tracked(value, error: a.error + b.error + unit * abs(value))
  }

  static func - (a: Tracked, b: Tracked) -> Tracked {
    let value = a.value - b.value
    return Tracked(value, error: a.error + b.error + unit * abs(value))
  }

  static func * (a: Tracked, b: Tracked) -> Tracked {
    let value = a.value * b.value
    return Tracked(
      value, error: abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error + unit * abs(value) + tiny)
  }

  /// A quotient; 2.5 ulp, as OpenCL has it.
  static func / (a: Tracked, b: Tracked) -> Tracked {
    let value = a.value / b.value
    let inherited = (a.error + abs(value) * b.error) / abs(b.value)
    return Tracked(value, error: inherited + 5 * unit * abs(value) + tiny)
  }

  static prefix func - (a: Tracked) -> Tracked { Tracked(-a.value, error: a.error) }

  /// A function with this slope, computed to this many ulp.
  private func applied(_ result: Double, slope: Double, ulps: Double) -> Tracked {
    Tracked(result, error: abs(slope) * error + 2 * ulps * Self.unit * abs(result) + Self.tiny)
  }

  // The ulp figures are those that the OpenCL 3.0 specification guarantees for the full profile.

  var exponential: Tracked {
    let result = exp(value)
    return applied(result, slope: error < 1 ? result * (1 + error) : exp(value + error), ulps: 4)
  }
  var logarithm: Tracked { applied(log(value), slope: 1 / value, ulps: 3) }
  var squareRoot: Tracked {
    let result = value.squareRoot()
    // Near zero the slope is infinite; the root of an error is at most the error's root.
    let inherited = value > error ? error / result : error.squareRoot()
    return Tracked(result, error: inherited + 6 * Self.unit * result + Self.tiny)
  }
  var hyperbolicTangent: Tracked {
    let result = tanh(value)
    return applied(result, slope: 1 - result * result, ulps: 5)
  }
  var errorFunction: Tracked {
    applied(erf(value), slope: 2 / Double.pi.squareRoot() * exp(-value * value), ulps: 16)
  }
  /// The value rounded to `f32` by whoever hands it over.
  var rounded: Tracked { Tracked(value, error: error + Self.unit * abs(value)) }
}

/// A sum in `f32`, in any order.
///
/// n additions round by at most n units of the sum of magnitudes if all err to one side, as they do for equal terms;
/// otherwise errors grow like a random walk, and twice its length is allowed.
struct TrackedSum {
  private(set) var value = 0.0
  private var magnitude = 0.0
  private var inherited = 0.0
  private var count = 0
  private var first = 0.0
  private var allEqual = true

  mutating func add(_ term: Double) {
    if count == 0 { first = term } else if term != first { allEqual = false }
    value += term
    magnitude += abs(term)
    count += 1
  }

  mutating func add(_ term: Tracked) {
    add(term.value)
    inherited += term.error
  }

  mutating func add(_ a: Tracked, times b: Tracked) {
    add(a.value * b.value)
    inherited += abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error
  }

  /// The sum, accumulated over at most `longest` terms in `f32` (the rest in Double).
  func total(longest: Int = .max) -> Tracked {
    guard count > 0 else { return Tracked(0) }
    let length = Double(min(count, longest))
    let growth = allEqual ? length + 4 : 2 * length.squareRoot() + 4
    return Tracked(value, error: inherited + growth * Tracked.unit * magnitude + Double(count) * Tracked.tiny)
  }
}

/// `sum over i < count of a[aStart + i aStride] b[bStart + i bStride]`, of exact values.
func trackedDot(
  _ a: [Double], _ aStart: Int, _ aStride: Int, _ b: [Double], _ bStart: Int, _ bStride: Int, _ count: Int
) -> Tracked {
  var value = 0.0
  var magnitude = 0.0
  a.withUnsafeBufferPointer { a in
    b.withUnsafeBufferPointer { b in
      var (i, j) = (aStart, bStart)
      for _ in 0..<count {
        let term = a[i] * b[j]
        value += term
        magnitude += abs(term)
        i += aStride
        j += bStride
      }
    }
  }
  let growth = 2 * Double(count).squareRoot() + 4
  return Tracked(value, error: count == 0 ? 0 : growth * Tracked.unit * magnitude + Double(count) * Tracked.tiny)
}
