import Autodiff
import Compute

/// A linear layer of a small network beside the frozen model: `x W' + b`, then an activation.
struct NetworkLayer {
  /// `[outputs, inputs]`.
  let weight: Parameter
  /// `[outputs]`.
  let bias: Parameter
  let activation: Activation?

  /// New weights and biases are uniform within one over the square root of the number of inputs, as PyTorch starts them.
  init(
    _ name: String, _ inputs: Int, _ outputs: Int, activation: Activation? = nil, isTrainable: Bool,
    _ generator: inout Philox, on backend: any ComputeBackend
  ) throws {
    let bound = 1 / Float(inputs).squareRoot()
    weight = try Parameter(
      name: "\(name).weight", uniform: bound, [outputs, inputs], isTrainable: isTrainable, &generator, on: backend)
    bias = try Parameter(
      name: "\(name).bias", uniform: bound, [outputs], isTrainable: isTrainable, &generator, on: backend)
    self.activation = activation
  }

  var parameters: [Parameter] { [weight, bias] }

  /// `[rows, inputs]` to `[rows, outputs]`.
  func callAsFunction(_ x: Variable, on tape: Tape) throws -> Variable {
    let output = try tape.linear(x, weight: tape.variable(weight), bias: tape.variable(bias), transposeB: true)
    return try activation.map { try tape.activation($0, output) } ?? output
  }
}

extension Parameter {
  /// A parameter that starts uniform on `-bound...bound`.
  convenience init(
    name: String, uniform bound: Float, _ shape: Shape, isTrainable: Bool, _ generator: inout Philox,
    on backend: any ComputeBackend
  ) throws {
    let values = (0..<shape.count).map { _ in bound * (2 * generator.nextUniform() - 1) }
    self.init(name: name, value: try backend.tensor(values, shape), isTrainable: isTrainable)
  }

  /// Streams of random numbers for the starts of prompts' networks.
  static let networkStream: UInt64 = 0x6E65_7477_6F72_6B00
}
