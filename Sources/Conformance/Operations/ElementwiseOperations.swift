import Compute

/// `add` and `multiply`; the second operand may be one row for every row of the first.
struct BinaryOperation: ConformanceOperation {
  enum Kind: String { case add, multiply }

  let documentation: OperationDocumentation
  private let kind: Kind

  init(_ kind: Kind) {
    self.kind = kind
    documentation = OperationDocumentation(
      name: kind.rawValue,
      inputs: [
        InputDocumentation(0, "X", "[.., n]"), InputDocumentation(1, "Y", "the same shape, or [n] for every row"),
      ],
      attributes: [inPlaceAttribute], output: kind == .add ? "X + Y" : "X Y")
  }

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0, 1] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let a = try session.input(0, of: call)
    let b = try session.input(1, of: call)
    if try call.attributes.bool("inPlace"), !a.isEmpty {
      let output = try backend.duplicate(a)
      switch kind {
      case .add: try backend.add(output, b, into: output)
      case .multiply: try backend.multiply(output, b, into: output)
      }
      try session.emit("output.0", output)
    } else {
      try session.emit("output.0", kind == .add ? try backend.add(a, b) : try backend.multiply(a, b))
    }
    guard let cotangent else { return }
    let gradient = try session.upload(cotangent)
    if gradients.contains(0) {
      try session.emit("gradient.0", kind == .add ? gradient : try backend.multiply(gradient, b))
    }
    guard gradients.contains(1) else { return }
    var second = kind == .add ? gradient : try backend.multiply(gradient, a)
    if a.shape != b.shape {
      second = try backend.columnSums(try second.reshaped([second.rowCount, second.columnCount]))
    }
    try session.emit("gradient.1", second)
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let a = call.doubles(0).map { Tracked($0) }
    let b = call.doubles(1).map { Tracked($0) }
    let shape = call.shape(0)
    func second(_ index: Int) -> Tracked { b[b.count == a.count ? index : index % shape.columns] }
    var results = [
      "output.0": Expectation(shape, a.indices.map { kind == .add ? a[$0] + second($0) : a[$0] * second($0) })
    ]
    guard let cotangent else { return results }
    if gradients.contains(0) {
      results["gradient.0"] = Expectation(
        shape, a.indices.map { kind == .add ? Tracked(cotangent[$0]) : Tracked(cotangent[$0]) * second($0) })
    }
    if gradients.contains(1) {
      let terms = a.indices.map { kind == .add ? Tracked(cotangent[$0]) : Tracked(cotangent[$0]) * a[$0] }
      let isRow = call.shape(0) != call.shape(1)
      results["gradient.1"] = Expectation(
        call.shape(1), isRow ? trackedColumnSums(terms, columns: shape.columns) : terms)
    }
    return results
  }
}

/// `scale X`.
struct ScaleOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "scale", inputs: [InputDocumentation(0, "X", "any shape")],
    attributes: [AttributeDocumentation("scale", nil, "the factor"), inPlaceAttribute], output: "scale X")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let x = try session.input(0, of: call)
    let factor = try call.attributes.float("scale")
    if try call.attributes.bool("inPlace"), !x.isEmpty {
      let output = try backend.duplicate(x)
      try backend.scale(output, by: factor, into: output)
      try session.emit("output.0", output)
    } else {
      try session.emit("output.0", try backend.scale(x, by: factor))
    }
    guard let cotangent, gradients.contains(0) else { return }
    try session.emit("gradient.0", try backend.scale(try session.upload(cotangent), by: factor))
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let factor = Tracked(Double(try call.attributes.float("scale")))
    var results = ["output.0": Expectation(call.shape(0), call.doubles(0).map { factor * Tracked($0) })]
    if let cotangent, gradients.contains(0) {
      results["gradient.0"] = Expectation(call.shape(0), cotangent.map { factor * Tracked($0) })
    }
    return results
  }
}

/// Every row by a factor of its own.
struct ScaleRowsOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "scaleRows",
    inputs: [InputDocumentation(0, "X", "[.., n]"), InputDocumentation(1, "factors", "[rows]")],
    attributes: [inPlaceAttribute], output: "row r of X times factors[r]")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let x = try session.input(0, of: call)
    let factors = try session.input(1, of: call)
    if try call.attributes.bool("inPlace"), !x.isEmpty {
      let output = try backend.duplicate(x)
      try backend.scaleRows(output, by: factors, into: output)
      try session.emit("output.0", output)
    } else {
      try session.emit("output.0", try backend.scaleRows(x, by: factors))
    }
    guard let cotangent, gradients.contains(0) else { return }
    try session.emit("gradient.0", try backend.scaleRows(try session.upload(cotangent), by: factors))
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let factors = call.doubles(1).map { Tracked($0) }
    let shape = call.shape(0)
    func scaled(_ values: [Double]) -> Expectation {
      Expectation(shape, values.enumerated().map { Tracked($1) * factors[$0 / shape.columns] })
    }
    var results = ["output.0": scaled(call.doubles(0))]
    if let cotangent, gradients.contains(0) { results["gradient.0"] = scaled(cotangent) }
    return results
  }
}

/// `accumulator += factor X`, in place.
struct AddScaledOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "addScaled",
    inputs: [InputDocumentation(0, "accumulator", "any shape"), InputDocumentation(1, "X", "the same shape")],
    attributes: [AttributeDocumentation("factor", nil, "factor on X")], output: "accumulator + factor X")

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let accumulator = try session.input(0, of: call, isMutable: true)
    let x = try session.input(1, of: call)
    try session.backend.addScaled(x, try call.attributes.float("factor"), onto: accumulator)
    try session.emit("output.0", accumulator)
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let factor = Tracked(Double(try call.attributes.float("factor")))
    let values = zip(call.doubles(0), call.doubles(1)).map { Tracked($0) + factor * Tracked($1) }
    return ["output.0": Expectation(call.shape(0), values)]
  }
}
