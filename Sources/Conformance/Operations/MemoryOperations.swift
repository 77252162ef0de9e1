import Compute

/// The device's memory: in and out, filling and copying.
struct MemoryOperation: ConformanceOperation {
  enum Kind: String { case copy, fill, roundTrip }

  let documentation: OperationDocumentation
  private let kind: Kind

  init(_ kind: Kind) {
    self.kind = kind
    let output =
      switch kind {
      case .copy: "the same elements in other memory"
      case .fill: "every element the value"
      case .roundTrip: "what was written, bit for bit"
      }
    documentation = OperationDocumentation(
      name: kind.rawValue,
      inputs: [
        kind == .fill
          ? InputDocumentation(0, "X", "any shape")
          : InputDocumentation(0, "X", "any shape; F32, BF16, F16 or I32", types: DType.allCases)
      ],
      attributes: kind == .fill ? [AttributeDocumentation("value", nil, "what to fill with")] : [], output: output)
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let x = try session.input(0, of: call, isMutable: kind == .fill)
    switch kind {
    case .copy: try session.emit("output.0", try session.backend.duplicate(x))
    case .roundTrip: try session.emit("output.0", x)
    case .fill:
      try session.backend.fill(x, with: try call.attributes.float("value"))
      try session.emit("output.0", x)
    }
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let values = call.doubles(0)
    guard kind == .fill else { return ["output.0": Expectation(call.shape(0), exact: values)] }
    let value = Double(try call.attributes.float("value"))
    return ["output.0": Expectation(call.shape(0), exact: values.map { _ in value })]
  }
}
