/// A function of the device's mathematics library that kernels rely on.
public enum Builtin: String, Sendable, Hashable, CaseIterable, Codable {
  case exp, log, tanh, erf, erfc, rsqrt, sqrt, sin, cos
  /// x / y
  case divide
  /// x to the power of y, x positive.
  case pow
  /// x y + z, rounded once.
  case fma
  /// The exponential that softmax, attention and activations use; where it is the device's own, the same as `exp`.
  case exponential

  /// How many operands it takes.
  public var arity: Int {
    switch self {
    case .fma: 3
    case .divide, .pow: 2
    default: 1
    }
  }
}

/// The device's own functions, so that their precision can be measured.
public protocol BuiltinKernels: AnyObject {
  /// `output[i] = function(operands[0][i], ...)`, as kernels of this device compute it.
  ///
  /// The default body throws `ComputeError.unsupported`: nothing but the conformance suite asks for this.
  ///
  /// - Parameters:
  ///   - operands: as many as the function takes, of one shape; f32.
  ///   - scalar: one number at a time, also where kernels compute in vectors.
  ///   - output: the shape of the operands.
  func builtin(_ function: Builtin, _ operands: [Tensor], scalar: Bool, into output: Tensor) throws
}

extension BuiltinKernels {
  public func builtin(_ function: Builtin, _ operands: [Tensor], scalar: Bool, into output: Tensor) throws {
    throw ComputeError.unsupported(operation: "builtin", "this backend does not hand out its functions")
  }
}

extension ComputeBackend {
  /// A function of the device's mathematics library, element by element.
  ///
  /// - Throws: `ComputeError.unsupported` if the backend does not hand out its functions, `.shapeMismatch`,
  ///   `.invalidArgument` for a wrong number of operands.
  public func builtin(_ function: Builtin, _ operands: [Tensor], scalar: Bool = false) throws -> Tensor {
    guard operands.count == function.arity, let first = operands.first else {
      throw ComputeError.invalidArgument(
        operation: function.rawValue, "\(operands.count) operands instead of \(function.arity)")
    }
    for operand in operands {
      try require(operand, .f32, function.rawValue, "an operand")
      try requireSameShape(operand, first, function.rawValue)
    }
    let output = try allocate(first.shape, .f32)
    if !output.isEmpty { try builtin(function, operands, scalar: scalar, into: output) }
    return output
  }
}
