import Compute

/// `softmax(scale X + mask)` over the last axis.
struct SoftmaxOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "softmax",
    inputs: [
      InputDocumentation(0, "X", "[.., n]"),
      InputDocumentation(1, "mask", "X's shape, added; -inf or 0; no gradient", optional: true),
    ],
    attributes: [
      AttributeDocumentation("axis", -1, "the last; others are skipped"),
      AttributeDocumentation("scale", 1, "factor on X"),
      inPlaceAttribute,
    ],
    output: "softmax(scale X + mask), X's shape; zeros in a row with everything masked")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let x = try session.input(0, of: call)
    let axis = try call.attributes.int("axis")
    guard axis == -1 || axis == x.shape.rank - 1 else {
      throw ConformanceError.unsupported("softmax over axis \(axis) of \(x.shape); only the last is computed")
    }
    let mask = try session.optionalInput(1, of: call)
    let scale = try call.attributes.float("scale")
    let inPlace = try call.attributes.bool("inPlace")
    let output: Tensor
    if inPlace {
      output = try backend.duplicate(x)
      if !x.isEmpty { try backend.softmax(output, mask: mask, scale: scale, into: output) }
    } else {
      output = try backend.softmax(x, mask: mask, scale: scale)
    }
    try session.emit("output.0", output)
    guard let cotangent, gradients.contains(0) else { return }
    let gradient = try session.upload(cotangent)
    if inPlace {
      if !x.isEmpty { try backend.softmaxBackward(gradient, y: output, scale: scale, into: gradient) }
      try session.emit("gradient.0", gradient)
    } else {
      try session.emit("gradient.0", try backend.softmaxBackward(gradient, y: output, scale: scale))
    }
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let x = call.doubles(0)
    let mask = call.inputs[1].map(\.doubles)
    let scale = Tracked(Double(try call.attributes.float("scale")))
    let shape = call.shape(0)
    let n = shape.columns
    var outputs: [Tracked] = []
    var gradient: [Tracked] = []
    for row in 0..<shape.rows {
      let scores = (row * n..<(row + 1) * n).map { index in
        let score = scale * Tracked(x[index])
        return mask.map { score + Tracked($0[index]) } ?? score
      }
      let y = trackedSoftmax(scores).probabilities
      outputs += y
      guard let cotangent else { continue }
      var dot = TrackedSum()
      for j in 0..<n { dot.add(y[j], times: Tracked(cotangent[row * n + j])) }
      let total = dot.total()
      gradient += (0..<n).map { scale * y[$0] * (Tracked(cotangent[row * n + $0]) - total) }
    }
    var results = ["output.0": Expectation(shape, outputs)]
    if cotangent != nil, gradients.contains(0) { results["gradient.0"] = Expectation(shape, gradient) }
    return results
  }
}

/// Softmax of one row, and the logarithm of its sum of exponentials.
///
/// A score of -infinity is masked; a row of nothing
/// else gives zeros and -infinity.
func trackedSoftmax(_ scores: [Tracked]) -> (probabilities: [Tracked], logSumExp: Tracked) {
  var largest = Tracked(-.infinity)
  for score in scores where score.value.isNaN || score.value > largest.value { largest = score }
  if scores.contains(where: \.value.isNaN) || largest.value == .infinity {
    return (scores.map { _ in Tracked(.nan) }, Tracked(.nan))
  }
  guard largest.value > -.infinity else { return (scores.map { _ in Tracked(0) }, Tracked(-.infinity)) }
  let exponentials = scores.map { $0.value == -.infinity ? Tracked(0) : ($0 - largest).exponential }
  var sum = TrackedSum()
  for value in exponentials { sum.add(value) }
  let total = sum.total()
  return (exponentials.map { $0 / total }, largest + total.logarithm)
}
