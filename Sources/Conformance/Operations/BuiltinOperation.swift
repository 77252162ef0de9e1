import Compute
import Foundation

/// A function of the device's mathematics library, against the precision that OpenCL promises for it.
struct BuiltinOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "builtin",
    inputs: [
      InputDocumentation(0, "X", "any shape"), InputDocumentation(1, "Y", "of divide, pow, fma", optional: true),
      InputDocumentation(2, "Z", "of fma", optional: true),
    ],
    attributes: [
      AttributeDocumentation("function", nil, Builtin.allCases.map(\.rawValue).joined(separator: ", ")),
      AttributeDocumentation("scalar", false, "one number at a time instead of in vectors"),
    ],
    output: "function(X, Y, Z)")

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let function = try call.attributes.choice("function", Builtin.self)
    let operands = try (0..<function.arity).map { try session.input($0, of: call) }
    let scalar = try call.attributes.bool("scalar")
    try session.emit("output.0", try session.backend.builtin(function, operands, scalar: scalar))
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let function = try call.attributes.choice("function", Builtin.self)
    let (x, y, z) = (call.doubles(0), call.doubles(1), call.doubles(2))
    let values = x.indices.map { i -> Tracked in
      let exact = function.exact(x[i], i < y.count ? y[i] : 0, i < z.count ? z[i] : 0)
      // An f32 above the normal range is infinite.
      let nearest = Float(exact)
      let ulp = nearest.isFinite ? Double(max(nearest.ulp, Float.leastNormalMagnitude.ulp)) : 0
      // The comparison allows twice the error.
      return Tracked(exact, error: exact.isFinite ? function.promisedULP * ulp / 2 : 0)
    }
    return ["output.0": Expectation(call.shape(0), values)]
  }
}

extension Builtin {
  /// The largest error, in units in the last place, that the OpenCL 3.0 C specification (section 7.4, single precision,
  /// full profile) allows; for `exponential`, what its kernel claims.
  var promisedULP: Double {
    switch self {
    case .exp, .log, .sqrt: 3
    case .tanh: 5
    case .erf, .erfc, .pow: 16
    case .rsqrt: 2
    case .sin, .cos: 4
    case .divide: 2.5
    case .fma: 0.5
    case .exponential: 3
    }
  }

  func exact(_ x: Double, _ y: Double, _ z: Double) -> Double {
    switch self {
    case .exp, .exponential: Foundation.exp(x)
    case .log: Foundation.log(x)
    case .tanh: Foundation.tanh(x)
    case .erf: Foundation.erf(x)
    case .erfc: Foundation.erfc(x)
    case .rsqrt: 1 / x.squareRoot()
    case .sqrt: x.squareRoot()
    case .sin: Foundation.sin(x)
    case .cos: Foundation.cos(x)
    case .divide: x / y
    case .pow: Foundation.pow(x, y)
    // The product of two f32 is exact in Double.
    case .fma: x * y + z
    }
  }
}
