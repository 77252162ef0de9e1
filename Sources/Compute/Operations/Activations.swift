/// An elementwise non-linearity.
public enum Activation: String, Sendable, Hashable, CaseIterable, Codable {
  /// max(x, 0); its slope at 0 is 0.
  case relu
  /// x / (1 + exp(-x))
  case silu
  /// x Phi(x) by the error function: x (1 + erf(x / sqrt 2)) / 2.
  case gelu
  /// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), as in GPT-2.
  case geluTanh = "gelu_tanh"
  /// Hyperbolic tangent.
  case tanh
}

/// Elementwise non-linearities and their gated forms.
public protocol ActivationKernels: AnyObject {
  /// `output = activation(x)`; `output` may be `x` itself.
  func activation(_ kind: Activation, _ x: Tensor, into output: Tensor) throws

  /// `output = cotangent activation'(x)`; `output` may be `cotangent` itself.
  func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor, into output: Tensor) throws

  /// `output = activation(gate) up`.
  func gated(_ kind: Activation, gate: Tensor, up: Tensor, into output: Tensor) throws

  /// `gateGradient = cotangent up activation'(gate)`, `upGradient = cotangent activation(gate)`.
  func gatedBackward(
    _ kind: Activation, _ cotangent: Tensor, gate: Tensor, up: Tensor, gateGradient: Tensor, upGradient: Tensor) throws
}

extension ComputeBackend {
  /// `activation(x)`, any shape.
  public func activation(_ kind: Activation, _ x: Tensor) throws -> Tensor {
    try require(x, .f32, kind.rawValue, "X")
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty { try activation(kind, x, into: output) }
    return output
  }

  /// The gradient of `activation` with respect to x.
  public func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor) throws -> Tensor {
    let operation = "\(kind.rawValue)Backward"
    try require(cotangent, .f32, operation, "the cotangent")
    try require(x, .f32, operation, "X")
    try requireSameShape(cotangent, x, operation)
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty { try activationBackward(kind, cotangent, x: x, into: output) }
    return output
  }

  /// `activation(gate) up`, as in gated linear units (Shazeer, 2020).
  public func gated(_ kind: Activation, gate: Tensor, up: Tensor) throws -> Tensor {
    try require(gate, .f32, "gated", "the gate")
    try require(up, .f32, "gated", "up")
    try requireSameShape(gate, up, "gated")
    let output = try allocate(gate.shape, .f32)
    if !gate.isEmpty { try gated(kind, gate: gate, up: up, into: output) }
    return output
  }

  /// The gradients of `gated`.
  public func gatedBackward(_ kind: Activation, _ cotangent: Tensor, gate: Tensor, up: Tensor) throws
    -> (gate: Tensor, up: Tensor)
  {
    try require(cotangent, .f32, "gatedBackward", "the cotangent")
    try require(gate, .f32, "gatedBackward", "the gate")
    try require(up, .f32, "gatedBackward", "up")
    try requireSameShape(cotangent, gate, "gatedBackward")
    try requireSameShape(gate, up, "gatedBackward")
    let gateGradient = try allocate(gate.shape, .f32)
    let upGradient = try allocate(gate.shape, .f32)
    if !gate.isEmpty {
      try gatedBackward(
        kind, cotangent, gate: gate, up: up, gateGradient: gateGradient, upGradient: upGradient)
    }
    return (gateGradient, upGradient)
  }
}
