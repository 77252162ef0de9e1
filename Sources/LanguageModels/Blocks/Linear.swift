import Autodiff
import Compute

/// A linear map with an optional bias.
struct Linear {
  /// How the matrix lies in a checkpoint.
  enum Layout {
    /// `[outputs, inputs]`, as most families store it.
    case outputsFirst
    /// `[inputs, outputs]`, as GPT-2 does.
    case inputsFirst
  }

  let weight: Parameter
  let bias: Parameter?
  let layout: Layout
  /// Operands are rounded to bf16.
  let roundsOperands: Bool

  init(weight: Parameter, bias: Parameter? = nil, layout: Layout = .outputsFirst, roundsOperands: Bool) {
    self.weight = weight
    self.bias = bias
    self.layout = layout
    self.roundsOperands = roundsOperands
  }

  /// `x W' + bias`, and a residual stream `[rows, outputs]` added to it: `[rows, inputs]` to `[rows, outputs]`.
  func callAsFunction(_ x: Variable, addedTo stream: Variable? = nil, on tape: Tape) throws -> Variable {
    try tape.linear(
      x, weight: tape.variable(weight), bias: bias.map { tape.variable($0) }, adding: stream,
      transposeB: layout == .outputsFirst, roundsOperands: roundsOperands)
  }

  /// A non-linearity of `x W' + bias`: `[rows, inputs]` to `[rows, outputs]`.
  func activated(_ kind: Activation, _ x: Variable, on tape: Tape) throws -> Variable {
    try tape.activatedLinear(
      kind, x, weight: tape.variable(weight), bias: bias.map { tape.variable($0) },
      transposeB: layout == .outputsFirst, roundsOperands: roundsOperands)
  }

  /// Chosen outputs alone, in their order: `[rows, inputs]` to `[rows, chosen]`.
  ///
  /// Only for `outputsFirst`.
  func outputs(_ chosen: Indices, of x: Variable, on tape: Tape) throws -> Variable {
    precondition(layout == .outputsFirst, "chosen outputs need a matrix [outputs, inputs]")
    let rows = try tape.gatherRows(tape.variable(weight), chosen)
    let shift = try bias.map { bias in
      let column = try tape.reshape(tape.variable(bias), [bias.count, 1])
      return try tape.reshape(try tape.gatherRows(column, chosen), [chosen.count])
    }
    return try tape.linear(x, weight: rows, bias: shift, transposeB: true, roundsOperands: roundsOperands)
  }

  /// The negative log-likelihood of a label under the softmax of the outputs, `[rows]`.
  ///
  /// Only for `outputsFirst`.
  func losses(_ x: Variable, _ labels: Indices, on tape: Tape) throws -> Variable {
    precondition(layout == .outputsFirst, "losses need a matrix [outputs, inputs]")
    return try tape.linearCrossEntropy(
      x, labels, weight: tape.variable(weight), bias: bias.map { tape.variable($0) }, roundsOperands: roundsOperands)
  }
}
