import Compute

/// `gelu`, `silu`, `relu` and `tanh`, forward and backward.
struct ActivationOperation: ConformanceOperation {
  enum Approximation: String, CaseIterable { case none, tanh }

  let documentation: OperationDocumentation
  private let kind: Activation

  init(_ kind: Activation) {
    self.kind = kind
    var attributes = [inPlaceAttribute]
    if kind == .gelu {
      attributes.append(AttributeDocumentation("approximate", "none", "none: by the error function; tanh"))
    }
    documentation = OperationDocumentation(
      name: kind.rawValue, inputs: [InputDocumentation(0, "X", "any shape")], attributes: attributes,
      output: "\(kind.rawValue)(X)")
  }

  private func activation(_ call: OperationCall) throws -> Activation {
    guard kind == .gelu else { return kind }
    return try call.attributes.choice("approximate", Approximation.self) == .tanh ? .geluTanh : .gelu
  }

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let activation = try activation(call)
    let x = try session.input(0, of: call)
    let inPlace = try call.attributes.bool("inPlace")
    if inPlace {
      let output = try backend.duplicate(x)
      if !x.isEmpty { try backend.activation(activation, output, into: output) }
      try session.emit("output.0", output)
    } else {
      try session.emit("output.0", try backend.activation(activation, x))
    }
    guard let cotangent, gradients.contains(0) else { return }
    let gradient = try session.upload(cotangent)
    if inPlace {
      if !x.isEmpty { try backend.activationBackward(activation, gradient, x: x, into: gradient) }
      try session.emit("gradient.0", gradient)
    } else {
      try session.emit("gradient.0", try backend.activationBackward(activation, gradient, x: x))
    }
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let activation = try activation(call)
    let x = call.doubles(0).map { Tracked($0) }
    var results = ["output.0": Expectation(call.shape(0), x.map { activation.value($0) })]
    if let cotangent, gradients.contains(0) {
      results["gradient.0"] = Expectation(
        call.shape(0), zip(cotangent, x).map { Tracked($0) * activation.slope($1) })
    }
    return results
  }
}

/// `activation(gate) up`.
struct GatedOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "gated",
    inputs: [InputDocumentation(0, "gate", "any shape"), InputDocumentation(1, "up", "the same shape")],
    attributes: [AttributeDocumentation("activation", nil, "silu, gelu, gelu_tanh, relu or tanh")],
    output: "activation(gate) up")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0, 1] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let activation = try call.attributes.choice("activation", Activation.self)
    let gate = try session.input(0, of: call)
    let up = try session.input(1, of: call)
    try session.emit("output.0", try backend.gated(activation, gate: gate, up: up))
    guard let cotangent, !gradients.isEmpty else { return }
    let result = try backend.gatedBackward(activation, try session.upload(cotangent), gate: gate, up: up)
    if gradients.contains(0) { try session.emit("gradient.0", result.gate) }
    if gradients.contains(1) { try session.emit("gradient.1", result.up) }
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let activation = try call.attributes.choice("activation", Activation.self)
    let gate = call.doubles(0).map { Tracked($0) }
    let up = call.doubles(1).map { Tracked($0) }
    let shape = call.shape(0)
    var results = ["output.0": Expectation(shape, zip(gate, up).map { activation.value($0) * $1 })]
    guard let cotangent else { return results }
    if gradients.contains(0) {
      results["gradient.0"] = Expectation(
        shape, gate.indices.map { Tracked(cotangent[$0]) * up[$0] * activation.slope(gate[$0]) })
    }
    if gradients.contains(1) {
      results["gradient.1"] = Expectation(
        shape, gate.indices.map { Tracked(cotangent[$0]) * activation.value(gate[$0]) })
    }
    return results
  }
}

/// Of operations whose kernel may write over its input.
let inPlaceAttribute = AttributeDocumentation(
  "inPlace", false, "the kernel writes over its first input", isInternal: true)
