import Compute

/// Layer normalisation, with what it keeps for its backward pass.
struct LayerNormOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "layerNorm",
    inputs: [
      InputDocumentation(0, "X", "[.., n]"), InputDocumentation(1, "weight", "[n]"),
      InputDocumentation(2, "bias", "[n]", optional: true),
    ],
    attributes: [AttributeDocumentation("epsilon", 1e-5, "added to the variance")],
    output: "(X - mean) / sqrt(variance + epsilon) weight + bias; variance over n")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { Set(call.inputs.keys) }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let x = try session.input(0, of: call)
    let weight = try session.input(1, of: call)
    let result = try backend.layerNorm(
      x, weight: weight, bias: try session.optionalInput(2, of: call), epsilon: try call.attributes.float("epsilon"))
    try session.emit("output.0", result.output)
    try session.emit("mean", result.mean)
    try session.emit("rstd", result.rstd)
    guard let cotangent, !gradients.isEmpty else { return }
    let gradient = try session.upload(cotangent)
    if gradients.contains(0) {
      let output = try backend.layerNormBackward(gradient, x: x, weight: weight, mean: result.mean, rstd: result.rstd)
      try session.emit("gradient.0", output)
    }
    guard gradients.contains(1) || gradients.contains(2) else { return }
    let parameters = try backend.layerNormBackwardParameters(gradient, x: x, mean: result.mean, rstd: result.rstd)
    if gradients.contains(1) { try session.emit("gradient.1", parameters.weight) }
    if gradients.contains(2) { try session.emit("gradient.2", parameters.bias) }
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let x = call.doubles(0)
    let weight = call.doubles(1).map { Tracked($0) }
    let bias = call.inputs[2].map(\.doubles)
    let epsilon = Tracked(Double(try call.attributes.float("epsilon")))
    let shape = call.shape(0)
    let (rows, n) = (shape.rows, shape.columns)
    let width = Tracked(Double(n))
    var (outputs, means, rstds, gradient): ([Tracked], [Tracked], [Tracked], [Tracked]) = ([], [], [], [])
    var weightSums = [TrackedSum](repeating: TrackedSum(), count: n)
    for row in 0..<rows {
      let values = x[row * n..<(row + 1) * n].map { Tracked($0) }
      var sum = TrackedSum()
      for value in values { sum.add(value) }
      let mean = sum.total() / width
      let centred = values.map { $0 - mean }
      var squares = TrackedSum()
      for value in centred { squares.add(value * value) }
      let rstd = Tracked(1) / (squares.total() / width + epsilon).squareRoot
      let normalized = centred.map { $0 * rstd }
      means.append(mean)
      rstds.append(rstd)
      for j in 0..<n {
        let scaled = normalized[j] * weight[j]
        outputs.append(bias.map { scaled + Tracked($0[j]) } ?? scaled)
      }
      guard let cotangent else { continue }
      let given = cotangent[row * n..<(row + 1) * n].map { Tracked($0) }
      for j in 0..<n { weightSums[j].add(given[j] * normalized[j]) }
      let g = (0..<n).map { given[$0] * weight[$0] }
      var (meanG, meanGH) = (TrackedSum(), TrackedSum())
      for j in 0..<n {
        meanG.add(g[j])
        meanGH.add(g[j] * normalized[j])
      }
      let (first, second) = (meanG.total() / width, meanGH.total() / width)
      gradient += (0..<n).map { rstd * (g[$0] - first - normalized[$0] * second) }
    }
    var results = [
      "output.0": Expectation(shape, outputs), "mean": Expectation([rows], means), "rstd": Expectation([rows], rstds),
    ]
    guard let cotangent else { return results }
    if gradients.contains(0) { results["gradient.0"] = Expectation(shape, gradient) }
    if gradients.contains(1) { results["gradient.1"] = Expectation([n], weightSums.map { $0.total() }) }
    if gradients.contains(2) {
      results["gradient.2"] = Expectation([n], trackedColumnSums(cotangent.map { Tracked($0) }, columns: n))
    }
    return results
  }
}

/// Root-mean-square normalisation.
struct RMSNormOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "rmsNorm",
    inputs: [InputDocumentation(0, "X", "[.., n]"), InputDocumentation(1, "weight", "[n]")],
    attributes: [AttributeDocumentation("epsilon", 1e-5, "added to the mean square")],
    output: "X / sqrt(mean(X^2) + epsilon) weight")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0, 1] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let x = try session.input(0, of: call)
    let weight = try session.input(1, of: call)
    let result = try backend.rmsNorm(x, weight: weight, epsilon: try call.attributes.float("epsilon"))
    try session.emit("output.0", result.output)
    try session.emit("rstd", result.rstd)
    guard let cotangent, !gradients.isEmpty else { return }
    let gradient = try session.upload(cotangent)
    if gradients.contains(0) {
      let output = try backend.rmsNormBackward(gradient, x: x, weight: weight, rstd: result.rstd)
      try session.emit("gradient.0", output)
    }
    if gradients.contains(1) {
      try session.emit("gradient.1", try backend.rmsNormBackwardWeight(gradient, x: x, rstd: result.rstd))
    }
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let x = call.doubles(0)
    let weight = call.doubles(1).map { Tracked($0) }
    let epsilon = Tracked(Double(try call.attributes.float("epsilon")))
    let shape = call.shape(0)
    let (rows, n) = (shape.rows, shape.columns)
    let width = Tracked(Double(n))
    var (outputs, rstds, gradient): ([Tracked], [Tracked], [Tracked]) = ([], [], [])
    var weightSums = [TrackedSum](repeating: TrackedSum(), count: n)
    for row in 0..<rows {
      let values = x[row * n..<(row + 1) * n].map { Tracked($0) }
      var squares = TrackedSum()
      for value in values { squares.add(value * value) }
      let rstd = Tracked(1) / (squares.total() / width + epsilon).squareRoot
      let normalized = values.map { $0 * rstd }
      rstds.append(rstd)
      outputs += (0..<n).map { normalized[$0] * weight[$0] }
      guard let cotangent else { continue }
      let given = cotangent[row * n..<(row + 1) * n].map { Tracked($0) }
      for j in 0..<n { weightSums[j].add(given[j] * normalized[j]) }
      let g = (0..<n).map { given[$0] * weight[$0] }
      var meanGH = TrackedSum()
      for j in 0..<n { meanGH.add(g[j] * normalized[j]) }
      let mean = meanGH.total() / width
      gradient += (0..<n).map { rstd * (g[$0] - normalized[$0] * mean) }
    }
    var results = ["output.0": Expectation(shape, outputs), "rstd": Expectation([rows], rstds)]
    guard cotangent != nil else { return results }
    if gradients.contains(0) { results["gradient.0"] = Expectation(shape, gradient) }
    if gradients.contains(1) { results["gradient.1"] = Expectation([n], weightSums.map { $0.total() }) }
    return results
  }
}
