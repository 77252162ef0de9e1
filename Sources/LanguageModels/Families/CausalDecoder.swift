import Autodiff
import Compute

/// A decoder-only transformer, put together from blocks: what the causal families have in common.
final class CausalDecoder: LanguageModel {
  /// What a family is made of, in the order of the computation.
  struct Parts {
    var tokenEmbedding: Parameter
    /// From the embeddings' width to that of the layers.
    var inputProjection: Linear?
    var positions: LearnedPositions?
    var embeddingNorm: Norm?
    var blocks: [TransformerBlock]
    var finalNorm: Norm?
    /// From the layers' width to that of the final hidden states.
    var hiddenProjection: Linear?
    /// Absent in checkpoints of a bare transformer.
    var output: Linear?
    var classifier: StoredClassifier?
  }

  let backend: any ComputeBackend
  let facts: ModelFacts
  let parameters: [Parameter]
  var tokenEmbedding: Parameter { parts.tokenEmbedding }
  var storedClassifier: StoredClassifier? { parts.classifier }
  private let parts: Parts
  private let path: String

  /// - Throws: `CheckpointError.unsupported` for stored tensors that the parts left over.
  init(_ facts: ModelFacts, _ parts: Parts, _ weights: ParameterBuilder, ignoring endings: [String] = []) throws {
    try weights.finish(ignoring: endings)
    backend = weights.backend
    parameters = weights.parameters
    path = weights.configuration.url.deletingLastPathComponent().path
    self.facts = facts
    self.parts = parts
  }

  func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable {
    try tape.scope("tokens") { try tape.gatherRows(tape.variable(tokenEmbedding), try backend.indices(tokens)) }
  }

  func encode(
    _ embeddings: Variable, _ batch: PackedBatch, prefixes: LayerPrefixes?, cache: KeyValueCache?, on tape: Tape
  ) throws -> Variable {
    if let limit = facts.maximumPositions, Int(batch.positions.maximum) >= limit {
      throw ComputeError.indexOutOfRange(
        operation: "positions of \(facts.modelType)", index: Int(batch.positions.maximum), bound: limit)
    }
    let pass = try ForwardPass(batch, layers: facts.layers, prefixes: prefixes, cache: cache, on: tape)
    var hidden = try tape.scope("embeddings") {
      var hidden = try parts.inputProjection?(embeddings, on: tape) ?? embeddings
      if let positions = parts.positions { hidden = try tape.add(hidden, try positions(batch.positions, on: tape)) }
      return try parts.embeddingNorm?(hidden, on: tape) ?? hidden
    }
    for (layer, block) in parts.blocks.enumerated() {
      hidden = try tape.layer("layer.\(layer)") { [hidden] in try block(hidden, layer: layer, pass.on($0)) }
    }
    return try tape.scope("final") {
      let answers = try pass.answers(hidden)
      let normed = try parts.finalNorm?(answers, on: tape) ?? answers
      return try parts.hiddenProjection?(normed, on: tape) ?? normed
    }
  }

  func logits(_ hidden: Variable, on tape: Tape) throws -> Variable {
    try tape.scope("output") { try output()(hidden, on: tape) }
  }

  func logits(_ hidden: Variable, of tokens: Indices, on tape: Tape) throws -> Variable {
    try tape.scope("output") { try output().outputs(tokens, of: hidden, on: tape) }
  }

  func losses(_ hidden: Variable, _ labels: Indices, on tape: Tape) throws -> Variable {
    try tape.scope("output") { try output().losses(hidden, labels, on: tape) }
  }

  private func output() throws -> Linear {
    guard let output = parts.output else {
      throw CheckpointError.missingTensor(path: path, name: "lm_head.weight")
    }
    return output
  }
}
