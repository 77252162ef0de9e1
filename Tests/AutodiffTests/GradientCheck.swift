import Autodiff
import Compute
import TestSupport
import Testing

/// Compares the gradients that a tape computes with central differences of its forward pass.
///
/// The scalar is `sum(outputs cotangents)` with random cotangents, summed in Double. Along a random direction v of one
/// input, `(L(x + h v) - L(x - h v)) / 2h` must equal the gradient's product with v. With values around 1, h = 2^-7
/// leaves a truncation error of about h^2 = 6e-5 times the third derivative and a rounding error of about
/// 2^-24 / h = 8e-6 times the norm of the outputs.
struct GradientCheck {
  static let step: Float = 0x1p-7
  static let tolerance = 2e-3

  let backend: any ComputeBackend
  let inputs: [(shape: Shape, values: [Float])]
  let body: (Tape, [Variable]) throws -> [Variable]

  /// - Parameter inputs: their shapes; the values are normal numbers.
  init(
    _ backend: any ComputeBackend, _ inputs: [Shape], _ body: @escaping (Tape, [Variable]) throws -> [Variable]
  ) {
    self.backend = backend
    self.inputs = inputs.enumerated().map { ($1, normals($1.count, seed: UInt64($0 + 11))) }
    self.body = body
  }

  private func cotangents(_ outputs: [Variable]) -> [[Float]] {
    outputs.enumerated().map { normals($1.shape.count, seed: UInt64($0 + 101)) }
  }

  private func scalar(_ values: [[Float]]) throws -> Double {
    let tape = Tape(backend, isRecording: false)
    let variables = try zip(inputs, values).map { tape.constant(try backend.tensor($1, $0.shape)) }
    let outputs = try body(tape, variables)
    return try zip(outputs, cotangents(outputs)).reduce(0) { total, pair in
      let values = try backend.values(pair.0.value)
      return total + zip(values, pair.1).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
  }

  func run(sourceLocation: SourceLocation = #_sourceLocation) throws {
    let tape = Tape(backend)
    let leaves = try inputs.enumerated().map { tape.leaf(try backend.tensor($1.values, $1.shape), name: "input \($0)") }
    let outputs = try body(tape, leaves)
    // One scalar from all outputs, so that operations with several are seen whole.
    let parts = try zip(outputs, cotangents(outputs)).map { output, cotangent in
      let flat = try tape.record("flatten", output.value.reshaped([output.shape.count, 1]), inputs: [output]) {
        cotangent, _ in [try cotangent.reshaped(output.shape)]
      }
      return try tape.multiply(flat, tape.constant(try backend.tensor(cotangent, [output.shape.count, 1])))
    }
    let all = try tape.concatRows(parts)
    let ones = try backend.tensor([Float](repeating: 1, count: all.shape.count), all.shape)
    let gradients = try tape.gradients(of: all, cotangent: ones)
    for (index, input) in inputs.enumerated() {
      let gradient = try backend.values(try #require(gradients[leaves[index]], "no gradient of input \(index)"))
      for trial in 0..<3 {
        let direction = normals(input.values.count, seed: UInt64(1000 + 10 * index + trial))
        let expected = try difference(index, direction)
        let got = zip(gradient, direction).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        let size = zip(gradient, direction).reduce(0) {
          $0 + (Double($1.0) * Double($1.1)) * (Double($1.0) * Double($1.1))
        }.squareRoot()
        let error = abs(got - expected)
        guard error <= Self.tolerance * max(1, size, abs(expected)) else {
          Issue.record("input \(index), direction \(trial): \(got), not \(expected)", sourceLocation: sourceLocation)
          continue
        }
      }
    }
  }

  private func difference(_ index: Int, _ direction: [Float]) throws -> Double {
    // The points as they are stored, so that the step is exact.
    func moved(_ sign: Float) -> [[Float]] {
      inputs.enumerated().map { other, input in
        other == index ? zip(input.values, direction).map { $0 + sign * Self.step * $1 } : input.values
      }
    }
    return (try scalar(moved(1)) - scalar(moved(-1))) / (2 * Double(Self.step))
  }
}
