import Autodiff
import Compute

/// An encoder and a decoder that attends to its output, put together from blocks.
final class EncoderDecoder: EncoderDecoderModel {
  /// What the decoder is made of, in the order of the computation.
  struct Parts {
    var startToken: Int32
    var padToken: Int32?
    var blocks: [CrossAttentionBlock]
    var finalNorm: Norm
    /// Factor on the final hidden states in front of the output projection.
    var outputScale: Float
    var output: Linear
  }

  let facts: ModelFacts
  let parameters: [Parameter]
  private let encoder: BidirectionalEncoder
  private let parts: Parts

  init(_ facts: ModelFacts, encoder: BidirectionalEncoder, _ parts: Parts, _ weights: ParameterBuilder) {
    parameters = weights.parameters
    self.facts = facts
    self.encoder = encoder
    self.parts = parts
  }

  var backend: any ComputeBackend { encoder.backend }
  var tokenEmbedding: Parameter { encoder.tokenEmbedding }
  var decoderStartToken: Int32 { parts.startToken }
  var padToken: Int32? { parts.padToken }
  var decoderLayers: Int { parts.blocks.count }

  func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable { try encoder.embed(tokens, on: tape) }

  func encode(
    _ embeddings: Variable, _ batch: PackedBatch, prefixes: LayerPrefixes?, cache: KeyValueCache?, on tape: Tape
  ) throws -> Variable {
    try tape.scope("encoder") { try encoder.encode(embeddings, batch, prefixes: prefixes, cache: cache, on: tape) }
  }

  func memory(of encoded: Variable, on tape: Tape) throws -> EncoderMemory {
    let layers = try tape.scope("memory") {
      try parts.blocks.map { try $0.memoryAttention.memory(of: encoded, on: tape) }
    }
    return EncoderMemory(keys: layers.map(\.keys), values: layers.map(\.values))
  }

  func decode(
    _ embeddings: Variable, _ batch: DecoderBatch, memory: EncoderMemory, prefixes: LayerPrefixes?,
    cache: KeyValueCache?, on tape: Tape
  ) throws -> Variable {
    let pass = try ForwardPass(batch.rows, layers: decoderLayers, prefixes: prefixes, cache: cache, on: tape)
    return try tape.scope("decoder") {
      var hidden = embeddings
      for (layer, block) in parts.blocks.enumerated() {
        let isNarrow = layer == pass.narrowLayer
        let layout = isNarrow ? batch.outputMemoryLayout ?? batch.memoryLayout : batch.memoryLayout
        hidden = try tape.layer("layer.\(layer)") { [hidden] tape in
          try block(
            hidden, layer: layer, keys: memory.keys[layer], values: memory.values[layer], memoryLayout: layout,
            pass.on(tape))
        }
      }
      return try tape.scope("final") { try parts.finalNorm(try pass.answers(hidden), on: tape) }
    }
  }

  func logits(_ hidden: Variable, on tape: Tape) throws -> Variable {
    try tape.scope("output") { try parts.output(try scaled(hidden, on: tape), on: tape) }
  }

  func logits(_ hidden: Variable, of tokens: Indices, on tape: Tape) throws -> Variable {
    try tape.scope("output") { try parts.output.outputs(tokens, of: try scaled(hidden, on: tape), on: tape) }
  }

  func losses(_ hidden: Variable, _ labels: Indices, on tape: Tape) throws -> Variable {
    try tape.scope("output") { try parts.output.losses(try scaled(hidden, on: tape), labels, on: tape) }
  }

  private func scaled(_ hidden: Variable, on tape: Tape) throws -> Variable {
    parts.outputScale == 1 ? hidden : try tape.scale(hidden, by: parts.outputScale)
  }
}
