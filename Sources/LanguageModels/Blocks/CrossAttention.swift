import Autodiff
import Compute

/// Attention of a decoder to what the encoder made (Vaswani et al., 2017).
struct CrossAttention {
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let attributes: AttentionAttributes

  /// Keys and values of the encoder's output, `[rows, width]` each to `[rows, heads headWidth]`.
  func memory(of encoded: Variable, on tape: Tape) throws -> (keys: Variable, values: Variable) {
    (try key(encoded, on: tape), try value(encoded, on: tape))
  }

  /// `[rows, width]` to the same shape, with a residual stream of that shape added.
  func callAsFunction(
    _ x: Variable, addedTo stream: Variable, keys: Variable, values: Variable, _ layout: AttentionLayout, on tape: Tape
  ) throws -> Variable {
    let attended = try tape.attention(
      q: try query(x, on: tape), k: keys, v: values, layout, attributes.rounding(as: output))
    return try output(attended, addedTo: stream, on: tape)
  }
}

/// One layer of a decoder behind an encoder: self-attention, attention to the encoder's output, feed-forward, each with
/// a norm in front of it and added to the residual stream.
struct CrossAttentionBlock {
  let attentionNorm: Norm
  let attention: SelfAttention
  let memoryNorm: Norm
  let memoryAttention: CrossAttention
  let feedForwardNorm: Norm
  let feedForward: FeedForward

  /// The rows that the layer has to answer for: `[rows, width]`.
  ///
  /// - Parameter memoryLayout: what those rows see of the memory.
  func callAsFunction(
    _ x: Variable, layer: Int, keys: Variable, values: Variable, memoryLayout: AttentionLayout, _ pass: ForwardPass
  ) throws -> Variable {
    let tape = pass.tape
    let stream = try pass.kept(x, layer: layer)
    let attended = try tape.scope("attention") {
      try attention(try attentionNorm(x, on: tape), addedTo: stream, layer: layer, pass)
    }
    let informed = try tape.scope("memory") {
      try memoryAttention(
        try memoryNorm(attended, on: tape), addedTo: attended, keys: keys, values: values, memoryLayout, on: tape)
    }
    return try tape.scope("feedForward") {
      try feedForward(try feedForwardNorm(informed, on: tape), addedTo: informed, on: tape)
    }
  }
}
