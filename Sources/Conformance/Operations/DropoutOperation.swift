import Compute

/// Dropout with Philox numbers.
struct DropoutOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "dropout", inputs: [InputDocumentation(0, "X", "any shape")],
    attributes: [
      AttributeDocumentation("probability", nil, "of an element to become 0"),
      AttributeDocumentation("seed", 0, "key of Philox4x32-10"),
      AttributeDocumentation("stream", 0, "its high counter"),
      inPlaceAttribute,
    ],
    output: "X / (1 - probability) where the element's uniform number is at least the probability, else 0")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let x = try session.input(0, of: call)
    let probability = try call.attributes.float("probability")
    let (seed, stream) = (try call.attributes.natural("seed"), try call.attributes.natural("stream"))
    if try call.attributes.bool("inPlace"), !x.isEmpty {
      let output = try backend.duplicate(x)
      try backend.dropout(output, probability: probability, seed: seed, stream: stream, into: output)
      try session.emit("output.0", output)
    } else {
      let output = try backend.dropout(x, probability: probability, seed: seed, stream: stream)
      try session.emit("output.0", output)
    }
    guard let cotangent, gradients.contains(0) else { return }
    let gradient = try backend.dropout(
      try session.upload(cotangent), probability: probability, seed: seed, stream: stream)
    try session.emit("gradient.0", gradient)
  }

  func outputShape(_ call: OperationCall) throws -> Shape { call.shape(0) }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let probability = Double(try call.attributes.float("probability"))
    let (seed, stream) = (try call.attributes.natural("seed"), try call.attributes.natural("stream"))
    let kept = Tracked(1) - Tracked(probability)
    func dropped(_ values: [Double]) -> Expectation {
      Expectation(
        call.shape(0),
        values.enumerated().map { index, value in
          let uniform = Double(randomWord(seed: seed, stream: stream, index: index) >> 8) * 0x1p-24
          return uniform >= probability ? Tracked(value) * (Tracked(1) / kept) : Tracked(0)
        })
    }
    var results = ["output.0": dropped(call.doubles(0))]
    if let cotangent, gradients.contains(0) { results["gradient.0"] = dropped(cotangent) }
    return results
  }

  /// Word `index % 4` of block `index / 4` of Philox4x32-10, written out for the reference alone.
  private func randomWord(seed: UInt64, stream: UInt64, index: Int) -> UInt32 {
    let block = UInt64(index / 4)
    var c = [
      UInt32(truncatingIfNeeded: block), UInt32(block >> 32), UInt32(truncatingIfNeeded: stream), UInt32(stream >> 32),
    ]
    var key = (UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32))
    for _ in 0..<10 {
      let (high0, low0) = c[0].multipliedFullWidth(by: 0xD251_1F53)
      let (high1, low1) = c[2].multipliedFullWidth(by: 0xCD9E_8D57)
      c = [high1 ^ c[1] ^ key.0, low1, high0 ^ c[3] ^ key.1, low0]
      key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
    }
    return c[index % 4]
  }
}
