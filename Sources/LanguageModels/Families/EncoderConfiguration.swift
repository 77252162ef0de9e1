import Compute

/// What `config.json` says about BERT and the models built like it, and the parts that they have in common.
struct EncoderConfiguration {
  static let knownKeys = KnownKeys(
    [
      "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps",
      "max_position_embeddings", "type_vocab_size",
    ],
    ignored: [
      "hidden_dropout_prob", "attention_probs_dropout_prob", "pooler_fc_size", "pooler_num_attention_heads",
      "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "directionality",
    ],
    neutral: ["is_decoder": .boolean(false), "position_embedding_type": .string("absolute")])

  let width: Int
  let layers: Int
  let heads: Int
  let inner: Int
  let positions: Int
  let vocabulary: Int
  let tokenTypes: Int
  let headWidth: Int
  let activation: Activation
  let epsilon: Double
  private let file: ConfigurationFile

  init(_ file: ConfigurationFile) throws {
    self.file = file
    width = try file.integer("hidden_size")
    layers = try file.integer("num_hidden_layers")
    heads = try file.integer("num_attention_heads")
    inner = try file.integer("intermediate_size")
    positions = try file.integer("max_position_embeddings")
    vocabulary = try file.integer("vocab_size")
    tokenTypes = try file.optionalInteger("type_vocab_size", atLeast: 1) ?? 2
    headWidth = try file.headWidth(width, heads: heads, key: "num_attention_heads")
    activation = try file.activation("hidden_act", default: "gelu")
    epsilon = try file.number("layer_norm_eps", default: 1e-12)
  }

  /// Everything but the heads of the family.
  ///
  /// - Parameter positionOffset: the row of the first position.
  func parts(_ weights: ParameterBuilder, positionOffset: Int) throws -> BidirectionalEncoder.Parts {
    let tokens = try weights.embedding("embeddings.word_embeddings", vocabulary, width)
    let positionTable = try weights.embedding("embeddings.position_embeddings", positions, width)
    let typeTable = try weights.embedding("embeddings.token_type_embeddings", tokenTypes, width)
    let embeddingNorm = try norm("embeddings.LayerNorm", weights)
    let blocks = try (0..<layers).map { try block("encoder.layer.\($0)", weights) }
    return BidirectionalEncoder.Parts(
      tokenEmbedding: tokens, positions: LearnedPositions(table: positionTable, offset: positionOffset),
      tokenTypes: typeTable, embeddingNorm: embeddingNorm, blocks: blocks,
      pooler: try weights.optionalLinear("pooler.dense", width, width, isPrefixed: true))
  }

  func facts(_ modelType: String, maximumPositions: Int) throws -> ModelFacts {
    ModelFacts(
      modelType: modelType, kind: .encoder, embeddingWidth: width, hiddenWidth: width, layers: layers, heads: heads,
      vocabularySize: vocabulary, maximumPositions: maximumPositions,
      endTokens: try file.identifiers("eos_token_id"))
  }

  private func block(_ name: String, _ weights: ParameterBuilder) throws -> TransformerBlock {
    func linear(_ part: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
      try weights.linear("\(name).\(part)", inputs, outputs)
    }
    return TransformerBlock(
      arrangement: .normLast,
      attentionNorm: try norm("\(name).attention.output.LayerNorm", weights),
      attention: SelfAttention(
        .separate(
          query: try linear("attention.self.query", width, width), key: try linear("attention.self.key", width, width),
          value: try linear("attention.self.value", width, width)),
        output: try linear("attention.output.dense", width, width),
        attributes: AttentionAttributes(heads: heads, scale: 1 / Float(headWidth).squareRoot()),
        headWidth: headWidth),
      feedForwardNorm: try norm("\(name).output.LayerNorm", weights),
      feedForward: .plain(
        input: try linear("intermediate.dense", width, inner), activation: activation,
        output: try linear("output.dense", inner, width)))
  }

  /// A norm; the first BERT files call its weight gamma and its bias beta.
  private func norm(_ name: String, _ weights: ParameterBuilder) throws -> Norm {
    try weights.layerNorm(name, width, epsilon: epsilon, olderNames: (weight: "gamma", bias: "beta"))
  }
}
