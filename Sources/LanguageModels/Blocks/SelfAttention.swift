import Autodiff
import Compute

/// Multi-head self-attention (Vaswani et al., 2017), also with fewer key and value heads (Ainslie et al., 2023).
///
/// Heads lie side by side in a row.
struct SelfAttention {
  /// Where queries, keys and values come from.
  enum Projections {
    case separate(query: Linear, key: Linear, value: Linear)
    /// The outputs are all queries, then all keys, then all values.
    case fused(Linear)
    /// The outputs are query, key and value of the first head, then of the second, and so on.
    case fusedByHead(Linear)
  }

  let projections: Projections
  let output: Linear
  /// Heads, scale, window and bias of the scores.
  let attributes: AttentionAttributes
  /// Columns of one head.
  let headWidth: Int
  let rotary: RotaryEmbedding?
  /// Normalise each head's query and key before they are rotated.
  let headNorms: (query: Norm, key: Norm)?
  /// The table of relative positions that `attributes` has, so that it can be trained.
  let relativeTable: Parameter?

  init(
    _ projections: Projections, output: Linear, attributes: AttentionAttributes, headWidth: Int,
    rotary: RotaryEmbedding? = nil, headNorms: (query: Norm, key: Norm)? = nil, relativeTable: Parameter? = nil
  ) {
    self.projections = projections
    self.output = output
    self.attributes = attributes.rounding(as: output)
    self.headWidth = headWidth
    self.rotary = rotary
    self.headNorms = headNorms
    self.relativeTable = relativeTable
  }

  /// `[rows, width]` to `[rows that the layer has to answer for, width]`, with a residual stream of that shape added.
  func callAsFunction(_ x: Variable, addedTo stream: Variable, layer: Int, _ pass: ForwardPass) throws -> Variable {
    let tape = pass.tape
    var (queries, keys, values) = try project(x, layer: layer, pass)
    if let headNorms {
      queries = try perHead(queries, tape) { try headNorms.query($0, on: tape) }
      keys = try perHead(keys, tape) { try headNorms.key($0, on: tape) }
    }
    if let rotary {
      queries = try rotary(
        queries, try pass.keptPositions(layer: layer), heads: attributes.heads, on: tape)
      keys = try rotary(keys, pass.batch.positions, heads: attributes.keyValueHeads, on: tape)
    }
    let context = try pass.context(keys: keys, values: values, layer: layer)
    let attended = try tape.attention(
      q: queries, k: context.keys, v: context.values, pass.layout(layer: layer), attributes,
      table: relativeTable.map { tape.variable($0) })
    return try output(attended, addedTo: stream, on: tape)
  }

  /// Queries of the kept rows, keys and values of all rows.
  private func project(_ x: Variable, layer: Int, _ pass: ForwardPass) throws -> (Variable, Variable, Variable) {
    let tape = pass.tape
    switch projections {
    case .separate(let query, let key, let value):
      return (
        try query(try pass.kept(x, layer: layer), on: tape), try key(x, on: tape), try value(x, on: tape)
      )
    case .fused(let linear):
      let widths = [attributes.heads, attributes.keyValueHeads, attributes.keyValueHeads].map { $0 * headWidth }
      let parts = try tape.splitColumns(try linear(x, on: tape), widths: widths)
      return (try pass.kept(parts[0], layer: layer), parts[1], parts[2])
    case .fusedByHead(let linear):
      precondition(attributes.heads == attributes.keyValueHeads, "one key head for each query head")
      let all = try linear(x, on: tape)
      let (rows, heads) = (all.shape[0], attributes.heads)
      let parts = try tape.splitColumns(
        try tape.reshape(all, [rows * heads, 3 * headWidth]), widths: [headWidth, headWidth, headWidth]
      ).map { try tape.reshape($0, [rows, heads * headWidth]) }
      return (try pass.kept(parts[0], layer: layer), parts[1], parts[2])
    }
  }

  /// Applies a map to each head as a row of its own.
  private func perHead(_ x: Variable, _ tape: Tape, _ map: (Variable) throws -> Variable) throws -> Variable {
    try tape.reshape(try map(try tape.reshape(x, [x.value.count / headWidth, headWidth])), x.shape)
  }
}

extension AttentionAttributes {
  /// The same with operands that may be rounded where those of a linear map are.
  func rounding(as linear: Linear) -> AttentionAttributes {
    var copy = self
    copy.mayRoundOperands = linear.roundsOperands
    return copy
  }
}
