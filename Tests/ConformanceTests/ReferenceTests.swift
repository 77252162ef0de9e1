import Foundation
import Testing

@testable import Conformance

/// The references' gradients against central differences of their values, all in Double.
@Suite struct ReferenceTests {
  private static let step = 1e-4

  /// Small cases with inputs of ordinary size, each of them one gradient check.
  static let cases: [ConformanceCase] = ConformanceSuite.cases.filter { description in
    guard description.wantsGradients, !description.label.contains("rounded") else { return false }
    let unusual = [
      "near-overflow", "denormal", "large", "small", "ladder", "cancelling", "confident", "zero", "offset",
    ]
    return description.inputs.values.allSatisfy { $0.shape.count <= 700 }
      && !unusual.contains { description.label.contains($0) }
  }

  @Test func everyOperationWithGradientsIsCovered() {
    let covered = Set(Self.cases.map(\.operation))
    for operation in [
      "matmul", "softmax", "layerNorm", "rmsNorm", "gelu", "silu", "relu", "gated", "add", "multiply",
      "scale", "gatherRows", "scatterAddRows", "concatRows", "sliceRows", "columnSums", "rotary", "crossEntropy",
      "attention",
    ] {
      #expect(covered.contains(operation), "no small case of \(operation)")
    }
  }

  @Test(arguments: Set(cases.map(\.operation)).sorted())
  func gradientsAreCentralDifferences(_ operation: String) throws {
    for description in Self.cases where description.operation == operation {
      let prepared = try PreparedCase(description)
      guard let cotangent = prepared.cotangent?.doubles, !cotangent.isEmpty else { continue }
      for input in prepared.gradients.sorted() {
        try check(prepared, input: input, cotangent)
      }
    }
  }

  private func check(_ prepared: PreparedCase, input: Int, _ cotangent: [Double]) throws {
    let host = try prepared.call.input(input)
    let values = host.doubles
    let gradient = try #require(prepared.expectations["gradient.\(input)"]?.values.map(\.value))
    func loss(_ index: Int, _ delta: Double) throws -> Double {
      var moved = values
      moved[index] += delta
      var call = prepared.call
      call.inputs[input] = HostTensor(host.shape, .double(moved))
      let result = try prepared.operation.reference(call, cotangent: nil, gradients: [])
      let output = try #require(result["output.0"])
      return zip(output.values, cotangent).reduce(0) { $0 + $1.0.value * $1.1 }
    }
    let scale = gradient.reduce(1) { max($0, abs($1)) }
    // A few elements of each tensor, spread over it.
    for index in stride(from: 0, to: values.count, by: max(1, values.count / 5)) {
      // relu has no derivative at 0.
      if abs(values[index]) < 2 * Self.step { continue }
      let difference = try (loss(index, Self.step) - loss(index, -Self.step)) / (2 * Self.step)
      let error = abs(difference - gradient[index])
      guard error <= 2e-6 * scale else {
        Issue.record(
          "\(prepared.name): gradient.\(input)[\(index)] is \(gradient[index]), differences say \(difference)")
        return
      }
    }
  }
}
