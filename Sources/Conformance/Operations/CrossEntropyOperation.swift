import Compute

/// Cross-entropy of softmax, over logits or fused with the output projection.
struct CrossEntropyOperation: ConformanceOperation {
  enum Reduction: String, CaseIterable { case mean, sum, none }

  let documentation = OperationDocumentation(
    name: "crossEntropy",
    inputs: [
      InputDocumentation(0, "X", "hidden states [T, d] with input 2, logits [T, V] without"),
      InputDocumentation(1, "labels", "I32 [T]; a row with ignoreIndex has no loss", types: [.i32]),
      InputDocumentation(
        2, "weight", "[V, d]; F32, BF16 or F16", types: InputDocumentation.weightTypes, optional: true),
      InputDocumentation(3, "bias", "[V]", optional: true),
    ],
    attributes: [
      AttributeDocumentation("reduction", "mean", "mean over the rows that count, sum, none"),
      AttributeDocumentation("ignoreIndex", -100, "the label of rows without loss"),
      AttributeDocumentation("frozen", false, "the weight may be repacked; no gradient.2", isInternal: true),
    ],
    output: "[1], or [T] for none (0 in ignored rows)")

  func differentiableInputs(_ call: OperationCall) throws -> Set<Int> {
    Set(call.inputs.keys).subtracting(try call.attributes.bool("frozen") ? [1, 2] : [1])
  }

  /// The factor of each row's loss in the output, and the number of rows that count.
  private func rowFactor(_ reduction: Reduction, _ labels: [Int32], _ ignoreIndex: Int32) throws -> Double {
    guard reduction == .mean else { return 1 }
    let counted = labels.count { $0 != ignoreIndex }
    guard counted > 0 else { throw ConformanceError.invalidCall("the mean over no rows is undefined") }
    return 1 / Double(counted)
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let reduction = try call.attributes.choice("reduction", Reduction.self)
    let ignoreIndex = Int32(clamping: try call.attributes.int("ignoreIndex"))
    let x = try session.input(0, of: call)
    let labels = try session.indices(1, of: call)
    let factor = try rowFactor(reduction, labels.values, ignoreIndex)
    let options = MatmulOptions(frozen: try call.attributes.bool("frozen"))

    let weight = try session.optionalInput(2, of: call)
    let bias = try session.optionalInput(3, of: call)
    let wantsHidden = cotangent != nil && gradients.contains(0)
    var direct: CrossEntropyResult?
    var fused: LinearCrossEntropyResult?
    let losses: Tensor
    if let weight {
      let result = try backend.linearCrossEntropy(
        x, labels, weight: weight, bias: bias, ignoreIndex: ignoreIndex, wantsGradient: wantsHidden, options: options)
      fused = result
      losses = result.losses
    } else {
      let result = try backend.crossEntropy(x, labels, ignoreIndex: ignoreIndex)
      direct = result
      losses = result.losses
      try session.emit("logSumExp", result.logSumExp)
    }
    if reduction == .none {
      try session.emit("output.0", losses)
    } else {
      let total = losses.isEmpty ? 0 : try backend.sum(losses)
      session.emit("output.0", HostTensor([1], .double([total * factor])))
    }

    guard let cotangent, case .f32(let given) = cotangent.elements else { return }
    let perRow = reduction == .none ? given : labels.values.map { _ in Float(Double(given[0]) * factor) }
    let gradient = try session.upload(HostTensor([labels.count], perRow))
    if wantsHidden {
      if let unit = fused?.unitGradient {
        try session.emit("gradient.0", try backend.scaleRows(unit, by: gradient))
      } else if let direct {
        let output = try backend.crossEntropyBackward(
          gradient, logits: x, labels, ignoreIndex: ignoreIndex, logSumExp: direct.logSumExp)
        try session.emit("gradient.0", output)
      }
    }
    guard let weight, gradients.contains(2) || gradients.contains(3) else { return }
    let parameters = try backend.linearCrossEntropyBackwardParameters(
      gradient, x, labels, weight: weight, bias: bias, ignoreIndex: ignoreIndex)
    if gradients.contains(2) { try session.emit("gradient.2", parameters.weight) }
    if gradients.contains(3), let bias = parameters.bias { try session.emit("gradient.3", bias) }
  }

  func outputShape(_ call: OperationCall) throws -> Shape {
    try call.attributes.choice("reduction", Reduction.self) == .none ? call.shape(1) : [1]
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let reduction = try call.attributes.choice("reduction", Reduction.self)
    let ignoreIndex = Int32(clamping: try call.attributes.int("ignoreIndex"))
    let x = call.doubles(0)
    let labels = call.inputs[1]?.integers ?? []
    let weight = call.inputs[2].map(\.doubles)
    let bias = call.inputs[3].map(\.doubles)
    let width = call.shape(0).columns
    let classes = weight == nil ? width : call.shape(2)[0]
    let factor = Tracked(try rowFactor(reduction, labels, ignoreIndex)).rounded

    var (losses, logSums): ([Tracked], [Tracked]) = ([], [])
    var total = TrackedSum()
    var logitGradient: [Tracked] = []
    for (row, label) in labels.enumerated() {
      let logits = (0..<classes).map { j in
        guard let weight else { return Tracked(x[row * width + j]) }
        let product = trackedDot(x, row * width, 1, weight, j * width, 1, width)
        return bias.map { product + Tracked($0[j]) } ?? product
      }
      let (probabilities, logSum) = trackedSoftmax(logits)
      let counts = label != ignoreIndex
      let loss = counts ? logSum - logits[Int(label)] : Tracked(0)
      losses.append(loss)
      logSums.append(logSum)
      total.add(loss)
      guard let cotangent else { continue }
      let given = Tracked(cotangent[reduction == .none ? row : 0]) * factor
      for j in 0..<classes {
        guard counts else {
          logitGradient.append(Tracked(0))
          continue
        }
        // The device computes exp(logit - logSumExp): the error of that difference is the probability's relative one.
        let difference = abs(logits[j].value - logSum.value).isFinite ? logits[j] - logSum : Tracked(0)
        let error = probabilities[j].value * (difference.error + 8 * Tracked.unit) + Tracked.tiny
        let probability = Tracked(probabilities[j].value, error: max(error, probabilities[j].error))
        logitGradient.append(given * (j == Int(label) ? probability - Tracked(1) : probability))
      }
    }
    var results: [String: Expectation] = [:]
    results["output.0"] =
      reduction == .none ? Expectation([labels.count], losses) : Expectation([1], [total.total() * factor])
    if weight == nil { results["logSumExp"] = Expectation([labels.count], logSums) }
    guard cotangent != nil else { return results }
    guard let weight else {
      if gradients.contains(0) { results["gradient.0"] = Expectation(call.shape(0), logitGradient) }
      return results
    }
    if gradients.contains(0) {
      var values: [Tracked] = []
      for row in labels.indices {
        for p in 0..<width {
          var sum = TrackedSum()
          for j in 0..<classes { sum.add(logitGradient[row * classes + j], times: Tracked(weight[j * width + p])) }
          values.append(sum.total().rounded)
        }
      }
      results["gradient.0"] = Expectation(call.shape(0), values)
    }
    if gradients.contains(2) {
      var values: [Tracked] = []
      for j in 0..<classes {
        for p in 0..<width {
          var sum = TrackedSum()
          for row in labels.indices { sum.add(logitGradient[row * classes + j], times: Tracked(x[row * width + p])) }
          values.append(sum.total())
        }
      }
      results["gradient.2"] = Expectation(call.shape(2), values)
    }
    if gradients.contains(3) {
      results["gradient.3"] = Expectation([classes], trackedColumnSums(logitGradient, columns: classes))
    }
    return results
  }

  func work(_ call: OperationCall) -> Work {
    let rows = Double(call.shape(0).rows)
    let classes = call.inputs[2] == nil ? 0 : Double(call.shape(2).rows)
    let bytes = call.inputs.values.reduce(0) { $0 + Double($1.shape.count * $1.dtype.byteCount) }
    return Work(flops: rows * Double(call.shape(0).columns) * (classes > 0 ? 2 * classes : 3), bytes: bytes)
  }

  /// Of the hidden states: the projection once more, the other way round.
  func gradientWork(_ call: OperationCall) -> Work { work(call) }
}
