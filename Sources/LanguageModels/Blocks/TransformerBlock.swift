import Autodiff
import Compute

/// One layer: attention and feed-forward, each on a branch beside the residual stream.
struct TransformerBlock {
  /// Where the norms stand.
  enum Arrangement {
    /// `x + attention(norm(x))`, then `x + feedForward(norm(x))`.
    case normFirst
    /// `norm(x + attention(x))`, then `norm(x + feedForward(x))`, as in the first transformer.
    case normLast
    /// `x + attention(norm(x)) + feedForward(norm(x))`, with a norm for each.
    case parallel
    /// As `normFirst`, but what is added to is the normed `x`.
    case normedResidual
  }

  let arrangement: Arrangement
  let attentionNorm: Norm
  let attention: SelfAttention
  let feedForwardNorm: Norm
  let feedForward: FeedForward

  /// The rows that the layer has to answer for: `[rows, width]`.
  func callAsFunction(_ x: Variable, layer: Int, _ pass: ForwardPass) throws -> Variable {
    let tape = pass.tape
    switch arrangement {
    case .normFirst:
      let stream = try pass.kept(x, layer: layer)
      let attended = try attend(try attentionNorm(x, on: tape), addedTo: stream, layer: layer, pass)
      return try feed(try feedForwardNorm(attended, on: tape), addedTo: attended, tape)
    case .normLast:
      let stream = try pass.kept(x, layer: layer)
      let attended = try attentionNorm(try attend(x, addedTo: stream, layer: layer, pass), on: tape)
      return try feedForwardNorm(try feed(attended, addedTo: attended, tape), on: tape)
    case .parallel:
      let stream = try pass.kept(x, layer: layer)
      let attended = try attend(try attentionNorm(x, on: tape), addedTo: stream, layer: layer, pass)
      return try feed(try feedForwardNorm(stream, on: tape), addedTo: attended, tape)
    case .normedResidual:
      let normed = try attentionNorm(x, on: tape)
      let attended = try attend(normed, addedTo: try pass.kept(normed, layer: layer), layer: layer, pass)
      let normedAgain = try feedForwardNorm(attended, on: tape)
      return try feed(normedAgain, addedTo: normedAgain, tape)
    }
  }

  private func attend(_ x: Variable, addedTo stream: Variable, layer: Int, _ pass: ForwardPass) throws -> Variable {
    try pass.tape.scope("attention") { try attention(x, addedTo: stream, layer: layer, pass) }
  }

  private func feed(_ x: Variable, addedTo stream: Variable, _ tape: Tape) throws -> Variable {
    try tape.scope("feedForward") { try feedForward(x, addedTo: stream, on: tape) }
  }
}
