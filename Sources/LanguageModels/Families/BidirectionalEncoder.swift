import Autodiff
import Compute

/// A model whose tokens see all others of their text.
public protocol EncoderModel: LanguageModel {
  /// Whether the checkpoint holds a pooler.
  var hasPooler: Bool { get }

  /// What the pooler makes of hidden states, usually those of first tokens: `tanh(W h + b)`, `[rows, hiddenWidth]`.
  ///
  /// - Throws: `CheckpointError.missingTensor` if the checkpoint has no pooler.
  func pooled(_ hidden: Variable, on tape: Tape) throws -> Variable
}

/// An encoder-only transformer, put together from blocks: what BERT and its relatives have in common.
final class BidirectionalEncoder: EncoderModel {
  /// What a family is made of, in the order of the computation.
  struct Parts {
    var tokenEmbedding: Parameter
    var positions: LearnedPositions?
    /// `[types, width]`; nil where the family has none.
    var tokenTypes: Parameter?
    var embeddingNorm: Norm?
    var blocks: [TransformerBlock]
    var finalNorm: Norm?
    var pooler: Linear?
    var tokenHead: TokenHead?
    var classifier: StoredClassifier?
  }

  let backend: any ComputeBackend
  let facts: ModelFacts
  let parameters: [Parameter]
  var tokenEmbedding: Parameter { parts.tokenEmbedding }
  var storedClassifier: StoredClassifier? { parts.classifier }
  var hasPooler: Bool { parts.pooler != nil }
  private let parts: Parts
  private let path: String

  init(_ facts: ModelFacts, _ parts: Parts, _ weights: ParameterBuilder) {
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
    guard cache == nil else {
      throw ComputeError.invalidArgument(operation: "encode", "a bidirectional model has nothing to keep in a cache")
    }
    if let limit = facts.maximumPositions, Int(batch.positions.maximum) >= limit {
      throw ComputeError.indexOutOfRange(
        operation: "positions of \(facts.modelType)", index: Int(batch.positions.maximum), bound: limit)
    }
    let pass = try ForwardPass(batch, layers: facts.layers, prefixes: prefixes, cache: nil, on: tape)
    var hidden = try tape.scope("embeddings") {
      var hidden = embeddings
      if let positions = parts.positions { hidden = try tape.add(hidden, try positions(batch.positions, on: tape)) }
      if let types = try tokenTypes(batch, on: tape) { hidden = try tape.add(hidden, types) }
      return try parts.embeddingNorm?(hidden, on: tape) ?? hidden
    }
    for (layer, block) in parts.blocks.enumerated() {
      hidden = try tape.layer("layer.\(layer)") { [hidden] in try block(hidden, layer: layer, pass.on($0)) }
    }
    return try tape.scope("final") {
      let answers = try pass.answers(hidden)
      return try parts.finalNorm?(answers, on: tape) ?? answers
    }
  }

  func pooled(_ hidden: Variable, on tape: Tape) throws -> Variable {
    guard let pooler = parts.pooler else {
      throw CheckpointError.missingTensor(path: path, name: "pooler.dense.weight")
    }
    return try tape.scope("pooler") { try tape.activation(.tanh, try pooler(hidden, on: tape)) }
  }

  func logits(_ hidden: Variable, on tape: Tape) throws -> Variable {
    try tape.scope("tokenHead") { try tokenHead()(hidden, on: tape) }
  }

  func logits(_ hidden: Variable, of tokens: Indices, on tape: Tape) throws -> Variable {
    try tape.scope("tokenHead") { try tokenHead().outputs(tokens, of: hidden, on: tape) }
  }

  func losses(_ hidden: Variable, _ labels: Indices, on tape: Tape) throws -> Variable {
    try tape.scope("tokenHead") { try tokenHead().losses(hidden, labels, on: tape) }
  }

  private func tokenTypes(_ batch: PackedBatch, on tape: Tape) throws -> Variable? {
    guard let table = parts.tokenTypes else {
      guard batch.tokenTypes.map({ $0.maximum <= 0 }) ?? true else {
        throw ComputeError.invalidArgument(operation: "encode", "'\(facts.modelType)' has no token types")
      }
      return nil
    }
    let types = try batch.tokenTypes ?? backend.indices([Int32](repeating: 0, count: batch.rowCount))
    return try tape.gatherRows(tape.variable(table), types)
  }

  private func tokenHead() throws -> TokenHead {
    guard let head = parts.tokenHead else {
      throw CheckpointError.unsupported(path: path, reason: "the checkpoint has no masked-language-model head")
    }
    return head
  }
}
