import Compute
import Foundation

/// Rotary position embedding.
struct RotaryOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "rotary",
    inputs: [
      InputDocumentation(0, "X", "[T, heads width]"), InputDocumentation(1, "positions", "I32 [T]", types: [.i32]),
    ],
    attributes: [
      AttributeDocumentation("heads", nil, "heads side by side in a row"),
      AttributeDocumentation("theta", 10000, "base of the angles' geometric series"),
      AttributeDocumentation("rotaryDimensions", .null, "leading columns that turn (width)"),
      AttributeDocumentation("interleaved", false, "pairs are neighbours (2i, 2i + 1), not halves"),
      AttributeDocumentation(
        "frequencyScaling", .null, "the rope_scaling object of config.json: linear, llama3, yarn; others are skipped"),
      inPlaceAttribute,
    ],
    output: "as X: pair (a, b) becomes (a cos - b sin, a sin + b cos)")

  /// Angles per position and the factor on cosine and sine.
  private func frequencies(_ call: OperationCall) throws -> (inverse: [Float], magnitude: Float) {
    let heads = try call.attributes.int("heads")
    let columns = try call.input(0).shape.columns
    guard heads > 0, columns % heads == 0 else {
      throw ConformanceError.invalidCall("\(heads) heads in \(columns) columns")
    }
    let dimensions = try call.attributes.optionalInt("rotaryDimensions") ?? columns / heads
    guard dimensions >= 0, dimensions % 2 == 0, dimensions <= columns / heads else {
      throw ConformanceError.invalidCall("\(dimensions) rotated columns in heads \(columns / heads) wide")
    }
    let theta = try call.attributes.double("theta")
    let scaling = try FrequencyScaling(call.attributes["frequencyScaling"])
    let result = scaling.frequencies(theta: theta, dimensions: dimensions)
    return (result.inverse.map { Float($0) }, Float(result.magnitude))
  }

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let (inverse, magnitude) = try frequencies(call)
    let x = try session.input(0, of: call)
    let positions = try session.indices(1, of: call)
    let attributes = RotaryAttributes(
      heads: try call.attributes.int("heads"),
      inverseFrequencies: try session.upload(HostTensor([inverse.count], inverse)),
      interleaved: try call.attributes.bool("interleaved"), magnitude: magnitude)
    if try call.attributes.bool("inPlace"), !x.isEmpty {
      let output = try backend.duplicate(x)
      try backend.rotary(output, positions, attributes, into: output)
      try session.emit("output.0", output)
    } else {
      try session.emit("output.0", try backend.rotary(x, positions, attributes))
    }
    guard let cotangent, gradients.contains(0) else { return }
    let gradient = try backend.rotaryBackward(try session.upload(cotangent), positions, attributes)
    try session.emit("gradient.0", gradient)
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let (inverse, magnitude) = try frequencies(call)
    let heads = try call.attributes.int("heads")
    let interleaved = try call.attributes.bool("interleaved")
    let positions = call.inputs[1]?.integers ?? []
    let shape = call.shape(0)
    let width = shape.columns / heads
    func rotated(_ values: [Double], backwards: Bool) -> Expectation {
      var result = values.map { Tracked($0) }
      for (row, position) in positions.enumerated() {
        for (pair, frequency) in inverse.enumerated() {
          let angle = Tracked(Double(position)) * Tracked(Double(frequency))
          let factor = Tracked(Double(magnitude))
          let cosine = factor * Tracked(cos(angle.value), error: angle.error + 8 * Tracked.unit)
          var sine = factor * Tracked(sin(angle.value), error: angle.error + 8 * Tracked.unit)
          if backwards { sine = -sine }
          for head in 0..<heads {
            let start = row * shape.columns + head * width
            let (i, j) =
              interleaved ? (start + 2 * pair, start + 2 * pair + 1) : (start + pair, start + pair + inverse.count)
            let (a, b) = (Tracked(values[i]), Tracked(values[j]))
            result[i] = a * cosine - b * sine
            result[j] = a * sine + b * cosine
          }
        }
      }
      return Expectation(shape, result)
    }
    var results = ["output.0": rotated(call.doubles(0), backwards: false)]
    if let cotangent, gradients.contains(0) { results["gradient.0"] = rotated(cotangent, backwards: true) }
    return results
  }
}
