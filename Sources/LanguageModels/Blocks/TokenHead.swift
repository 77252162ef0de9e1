import Autodiff
import Compute

/// Scores of every token in place of a masked one: a dense layer, a norm, and the output projection (Devlin et al.,
/// 2019, section 3.1).
struct TokenHead {
  let transform: Linear
  let activation: Activation
  let norm: Norm
  let output: Linear

  /// `[rows, width]` to `[rows, V]`.
  func callAsFunction(_ hidden: Variable, on tape: Tape) throws -> Variable {
    try output(try transformed(hidden, on: tape), on: tape)
  }

  /// Scores of chosen tokens, `[rows, tokens]`.
  func outputs(_ tokens: Indices, of hidden: Variable, on tape: Tape) throws -> Variable {
    try output.outputs(tokens, of: try transformed(hidden, on: tape), on: tape)
  }

  /// The negative log-likelihood of a label in place of each row, `[rows]`.
  func losses(_ hidden: Variable, _ labels: Indices, on tape: Tape) throws -> Variable {
    try output.losses(try transformed(hidden, on: tape), labels, on: tape)
  }

  private func transformed(_ hidden: Variable, on tape: Tape) throws -> Variable {
    try norm(try tape.activation(activation, try transform(hidden, on: tape)), on: tape)
  }
}
