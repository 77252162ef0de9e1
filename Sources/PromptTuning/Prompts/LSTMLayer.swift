import Autodiff
import Compute

/// A layer of a bidirectional LSTM over one sequence (Hochreiter and Schmidhuber, 1997; Schuster and Paliwal, 1997), with
/// the gates in the order input, forget, cell, output and two biases, as PyTorch has it.
struct BidirectionalLSTMLayer {
  /// One direction.
  private struct Direction {
    /// `[4 width, inputs]`.
    let input: Parameter
    /// `[4 width, width]`.
    let hidden: Parameter
    /// `[4 width]`.
    let inputBias: Parameter
    /// `[4 width]`.
    let hiddenBias: Parameter

    var parameters: [Parameter] { [input, hidden, inputBias, hiddenBias] }
  }

  private let directions: [Direction]
  private let width: Int

  /// Weights and biases start uniform within one over the square root of the width.
  init(
    _ name: String, number: Int, inputs: Int, width: Int, isTrainable: Bool, _ generator: inout Philox,
    on backend: any ComputeBackend
  ) throws {
    self.width = width
    var directions: [Direction] = []
    for suffix in ["", "_reverse"] {
      func parameter(_ kind: String, _ shape: Shape) throws -> Parameter {
        try Parameter(
          name: "\(name).\(kind)_l\(number)\(suffix)", uniform: 1 / Float(width).squareRoot(), shape,
          isTrainable: isTrainable, &generator, on: backend)
      }
      directions.append(
        Direction(
          input: try parameter("weight_ih", [4 * width, inputs]),
          hidden: try parameter("weight_hh", [4 * width, width]), inputBias: try parameter("bias_ih", [4 * width]),
          hiddenBias: try parameter("bias_hh", [4 * width])))
    }
    self.directions = directions
  }

  var parameters: [Parameter] { directions.flatMap(\.parameters) }

  /// `[steps, inputs]` to `[steps, 2 width]`: the states forwards beside those backwards.
  func callAsFunction(_ x: Variable, on tape: Tape) throws -> Variable {
    try tape.concatColumns([
      try states(x, directions[0], backwards: false, on: tape), try states(x, directions[1], backwards: true, on: tape),
    ])
  }

  private func states(_ x: Variable, _ direction: Direction, backwards: Bool, on tape: Tape) throws -> Variable {
    let steps = x.shape[0]
    let gates = try tape.add(
      try tape.linear(
        x, weight: tape.variable(direction.input), bias: tape.variable(direction.inputBias), transposeB: true),
      tape.variable(direction.hiddenBias))
    var (hidden, cell): (Variable?, Variable?)
    var outputs: [Variable] = []
    for step in backwards ? Array((0..<steps).reversed()) : Array(0..<steps) {
      var sums = try tape.sliceRows(gates, step..<step + 1)
      if let hidden {
        sums = try tape.add(
          sums, try tape.linear(hidden, weight: tape.variable(direction.hidden), transposeB: true))
      }
      let parts = try tape.splitColumns(sums, widths: [width, width, width, width])
      let new = try tape.multiply(try tape.sigmoid(parts[0]), try tape.activation(.tanh, parts[2]))
      // The first cell is empty, so nothing of it is kept.
      let state = try cell.map { try tape.add(try tape.multiply(try tape.sigmoid(parts[1]), $0), new) } ?? new
      let output = try tape.multiply(try tape.sigmoid(parts[3]), try tape.activation(.tanh, state))
      (hidden, cell) = (output, state)
      outputs.append(output)
    }
    return try tape.concatRows(backwards ? outputs.reversed() : outputs)
  }
}
