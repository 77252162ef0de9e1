import Compute
import Foundation

/// One step of AdamW, in place.
struct AdamWOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "adamW",
    inputs: [
      InputDocumentation(0, "parameter", "any shape"), InputDocumentation(1, "gradient", "the same shape"),
      InputDocumentation(2, "first moment", "the same shape"), InputDocumentation(3, "second moment", "the same shape"),
    ],
    attributes: [
      AttributeDocumentation("learningRate", nil, "the step"), AttributeDocumentation("beta1", 0.9, "of the mean"),
      AttributeDocumentation("beta2", 0.999, "of the mean square"),
      AttributeDocumentation("epsilon", 1e-8, "added to the root"),
      AttributeDocumentation("weightDecay", 0, "decoupled decay"), AttributeDocumentation("step", nil, "from 1"),
    ],
    output: "parameter, first moment, second moment after the step")

  private func step(_ call: OperationCall) throws -> AdamWStep {
    let attributes = call.attributes
    return AdamWStep(
      learningRate: try attributes.float("learningRate"), beta1: try attributes.float("beta1"),
      beta2: try attributes.float("beta2"), epsilon: try attributes.float("epsilon"),
      weightDecay: try attributes.float("weightDecay"), step: try attributes.int("step"))
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    try session.requireSameShapes([1, 2, 3], of: call)
    let parameter = try session.input(0, of: call, isMutable: true)
    let first = try session.input(2, of: call, isMutable: true)
    let second = try session.input(3, of: call, isMutable: true)
    try session.backend.adamW(
      try step(call), parameter: parameter, gradient: try session.input(1, of: call), firstMoment: first,
      secondMoment: second)
    try session.emit("output.0", parameter)
    try session.emit("output.1", first)
    try session.emit("output.2", second)
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let step = try step(call)
    let (beta1, beta2) = (Tracked(Double(step.beta1)), Tracked(Double(step.beta2)))
    let (rest1, rest2) = (Tracked(1) - beta1, Tracked(1) - beta2)
    let rate = Double(step.learningRate)
    let correction1 = 1 - pow(Double(step.beta1), Double(step.step))
    let correction2 = 1 - pow(Double(step.beta2), Double(step.step))
    var (parameters, firsts, seconds): ([Tracked], [Tracked], [Tracked]) = ([], [], [])
    let (p, g, m, v) = (call.doubles(0), call.doubles(1), call.doubles(2), call.doubles(3))
    for i in p.indices {
      let gradient = Tracked(g[i])
      let decayed = Tracked(p[i]) * Tracked(1 - rate * Double(step.weightDecay)).rounded
      let first = beta1 * Tracked(m[i]) + rest1 * gradient
      let second = beta2 * Tracked(v[i]) + rest2 * gradient * gradient
      let root = second.squareRoot / Tracked(correction2.squareRoot()).rounded + Tracked(Double(step.epsilon))
      parameters.append(decayed - Tracked(rate / correction1).rounded * first / root)
      firsts.append(first)
      seconds.append(second)
    }
    let shape = call.shape(0)
    return [
      "output.0": Expectation(shape, parameters), "output.1": Expectation(shape, firsts),
      "output.2": Expectation(shape, seconds),
    ]
  }
}

/// One step of Adafactor without first moment, in place; factored for a matrix with inputs 2 and 3.
struct AdafactorOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "adafactor",
    inputs: [
      InputDocumentation(0, "parameter", "[r, c], or any shape without input 3"),
      InputDocumentation(1, "gradient", "the same shape"),
      InputDocumentation(2, "moments", "row moments [r] with input 3, all [..] without"),
      InputDocumentation(3, "column moments", "[c]", optional: true),
    ],
    attributes: [
      AttributeDocumentation("learningRate", nil, "the step"), AttributeDocumentation("decay", 0.8, "of beta2(t)"),
      AttributeDocumentation("gradientEpsilon", 1e-30, "added to squared gradients"),
      AttributeDocumentation("parameterEpsilon", 1e-3, "least size of a parameter"),
      AttributeDocumentation("clipThreshold", 1, "largest size of an update"),
      AttributeDocumentation("weightDecay", 0, "decoupled decay"),
      AttributeDocumentation("scalesByParameter", true, "the step is relative"),
      AttributeDocumentation("step", nil, "from 1"),
    ],
    output: "parameter and moments after the step")

  private func step(_ call: OperationCall) throws -> AdafactorStep {
    let attributes = call.attributes
    return AdafactorStep(
      learningRate: try attributes.float("learningRate"), decay: try attributes.float("decay"),
      gradientEpsilon: try attributes.float("gradientEpsilon"),
      parameterEpsilon: try attributes.float("parameterEpsilon"),
      clipThreshold: try attributes.float("clipThreshold"), weightDecay: try attributes.float("weightDecay"),
      scalesByParameter: try attributes.bool("scalesByParameter"), step: try attributes.int("step"))
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    try session.requireSameShapes(call.inputs[3] == nil ? [1, 2] : [1], of: call)
    if let columns = call.inputs[3]?.shape {
      let (shape, rows) = (call.shape(0), call.shape(2))
      guard shape.rank == 2, rows == [shape[0]], columns == [shape[1]] else {
        throw ConformanceError.invalidCall("moments \(rows) and \(columns) of a parameter \(shape)")
      }
    }
    let parameter = try session.input(0, of: call, isMutable: true)
    let rows = try session.input(2, of: call, isMutable: true)
    let columns = call.inputs[3] == nil ? nil : try session.input(3, of: call, isMutable: true)
    try session.backend.adafactor(
      try step(call), parameter: parameter, gradient: try session.input(1, of: call),
      moments: columns.map { .factored(rows: rows, columns: $0) } ?? .full(rows))
    try session.emit("output.0", parameter)
    try session.emit("output.1", rows)
    if let columns { try session.emit("output.2", columns) }
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let step = try step(call)
    let beta = 1 - pow(Double(step.step), -Double(step.decay))
    let (kept, new) = (Tracked(beta).rounded, Tracked(1 - beta).rounded)
    let shape = call.shape(0)
    let (p, g) = (call.doubles(0).map { Tracked($0) }, call.doubles(1).map { Tracked($0) })
    let squares = g.map { $0 * $0 + Tracked(Double(step.gradientEpsilon)) }
    var results: [String: Expectation] = [:]
    var update: [Tracked]
    if call.inputs[3] != nil {
      let (r, c) = (shape[0], shape[1])
      func moments(_ old: [Double], _ length: Int, _ entry: (Int, Int) -> Tracked) -> [Tracked] {
        old.indices.map { i in
          var sum = TrackedSum()
          for j in 0..<length { sum.add(entry(i, j)) }
          return kept * Tracked(old[i]) + new * (sum.total() / Tracked(Double(length)))
        }
      }
      let rows = moments(call.doubles(2), c) { squares[$0 * c + $1] }
      let columns = moments(call.doubles(3), r) { squares[$1 * c + $0] }
      var sum = TrackedSum()
      for row in rows { sum.add(row) }
      let mean = sum.total() / Tracked(Double(r))
      update = g.indices.map { g[$0] / (rows[$0 / c] * columns[$0 % c] / mean).squareRoot }
      results["output.1"] = Expectation([r], rows)
      results["output.2"] = Expectation([c], columns)
    } else {
      let old = call.doubles(2)
      let moments = g.indices.map { kept * Tracked(old[$0]) + new * squares[$0] }
      update = g.indices.map { g[$0] / moments[$0].squareRoot }
      results["output.1"] = Expectation(shape, moments)
    }
    func size(_ values: [Tracked]) -> Tracked {
      var sum = TrackedSum()
      for value in values { sum.add(value * value) }
      return (sum.total() / Tracked(Double(values.count))).squareRoot
    }
    let excess = size(update) / Tracked(Double(step.clipThreshold))
    if excess.value + excess.error > 1 {
      let divisor = Tracked(max(1, excess.value), error: excess.error)
      update = update.map { $0 / divisor }
    }
    var rate = Tracked(Double(step.learningRate))
    if step.scalesByParameter {
      let least = Double(step.parameterEpsilon)
      let parameterSize = size(p)
      rate = rate * (parameterSize.value > least ? parameterSize : Tracked(least, error: parameterSize.error))
    }
    let decay = rate * Tracked(Double(step.weightDecay))
    results["output.0"] = Expectation(shape, p.indices.map { p[$0] - (rate * update[$0] + decay * p[$0]) })
    return results
  }
}

/// One step of stochastic gradient descent, in place.
struct SGDOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "sgd",
    inputs: [
      InputDocumentation(0, "parameter", "any shape"), InputDocumentation(1, "gradient", "the same shape"),
      InputDocumentation(2, "velocity", "the same shape", optional: true),
    ],
    attributes: [
      AttributeDocumentation("learningRate", nil, "the step"), AttributeDocumentation("momentum", 0, "of the velocity"),
      AttributeDocumentation("weightDecay", 0, "added to the gradient"),
    ],
    output: "parameter and velocity after the step")

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    try session.requireSameShapes(call.inputs[2] == nil ? [1] : [1, 2], of: call)
    let parameter = try session.input(0, of: call, isMutable: true)
    let velocity = call.inputs[2] == nil ? nil : try session.input(2, of: call, isMutable: true)
    try session.backend.sgd(
      learningRate: try call.attributes.float("learningRate"), momentum: try call.attributes.float("momentum"),
      weightDecay: try call.attributes.float("weightDecay"), parameter: parameter,
      gradient: try session.input(1, of: call), velocity: velocity)
    try session.emit("output.0", parameter)
    if let velocity { try session.emit("output.1", velocity) }
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let rate = Tracked(Double(try call.attributes.float("learningRate")))
    let momentum = Tracked(Double(try call.attributes.float("momentum")))
    let decay = Tracked(Double(try call.attributes.float("weightDecay")))
    let (p, g) = (call.doubles(0).map { Tracked($0) }, call.doubles(1).map { Tracked($0) })
    let gradient = p.indices.map { g[$0] + decay * p[$0] }
    guard let velocity = call.inputs[2]?.doubles else {
      return ["output.0": Expectation(call.shape(0), p.indices.map { p[$0] - rate * gradient[$0] })]
    }
    let moved = p.indices.map { momentum * Tracked(velocity[$0]) + gradient[$0] }
    return [
      "output.0": Expectation(call.shape(0), p.indices.map { p[$0] - rate * moved[$0] }),
      "output.1": Expectation(call.shape(0), moved),
    ]
  }
}
