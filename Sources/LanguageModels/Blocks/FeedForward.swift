import Autodiff
import Compute

/// The part of a transformer block that looks at one token at a time.
enum FeedForward {
  /// `output(activation(input(x)))` (Vaswani et al., 2017).
  case plain(input: Linear, activation: Activation, output: Linear)
  /// `output(activation(gate(x)) up(x))` (Shazeer, 2020).
  case gated(gate: Linear, up: Linear, activation: Activation, output: Linear)

  /// `[rows, width]` to `[rows, width]`, with a residual stream of that shape added.
  func callAsFunction(_ x: Variable, addedTo stream: Variable, on tape: Tape) throws -> Variable {
    switch self {
    case .plain(let input, let activation, let output):
      try output(try input.activated(activation, x, on: tape), addedTo: stream, on: tape)
    case .gated(let gate, let up, let activation, let output):
      try output(
        try tape.gated(activation, gate: try gate(x, on: tape), up: try up(x, on: tape)), addedTo: stream,
        on: tape)
    }
  }
}
