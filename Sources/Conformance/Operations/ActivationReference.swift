import Compute
import Foundation

extension Activation {
  /// The non-linearity itself.
  func value(_ x: Tracked) -> Tracked {
    switch self {
    case .relu: x.value.isNaN ? x : (x.value > 0 ? x : Tracked(0, error: x.value > -x.error ? x.error : 0))
    case .silu: x * Self.sigmoid(x)
    case .gelu: Tracked(0.5) * x * (Tracked(1) + (x * Tracked(0.5.squareRoot()).rounded).errorFunction)
    case .geluTanh: Tracked(0.5) * x * (Tracked(1) + Self.inner(x).hyperbolicTangent)
    case .tanh: x.hyperbolicTangent
    }
  }

  /// Its derivative.
  func slope(_ x: Tracked) -> Tracked {
    switch self {
    case .relu:
      return x.value.isNaN ? x : Tracked(x.value > 0 ? 1 : 0, error: abs(x.value) < x.error ? 1 : 0)
    case .silu:
      let s = Self.sigmoid(x)
      return s * (Tracked(1) + x * (Tracked(1) - s))
    case .gelu:
      let cumulative = Tracked(0.5) * (Tracked(1) + (x * Tracked(0.5.squareRoot()).rounded).errorFunction)
      let density = Tracked(1 / (2 * Double.pi).squareRoot()).rounded * (Tracked(-0.5) * x * x).exponential
      return cumulative + x * density
    case .geluTanh:
      let t = Self.inner(x).hyperbolicTangent
      let innerSlope = Self.rootTwoOverPi * (Tracked(1) + Tracked(3 * 0.044715).rounded * x * x)
      return Tracked(0.5) * (Tracked(1) + t) + Tracked(0.5) * x * (Tracked(1) - t * t) * innerSlope
    case .tanh:
      let t = x.hyperbolicTangent
      return Tracked(1) - t * t
    }
  }

  private static let rootTwoOverPi = Tracked((2 / Double.pi).squareRoot()).rounded

  private static func inner(_ x: Tracked) -> Tracked {
    rootTwoOverPi * (x + Tracked(0.044715).rounded * x * x * x)
  }

  /// 1 / (1 + exp(-x)), without overflow on either side.
  private static func sigmoid(_ x: Tracked) -> Tracked {
    if x.value >= 0 { return Tracked(1) / (Tracked(1) + (-x).exponential) }
    let e = x.exponential
    return e / (Tracked(1) + e)
  }
}
