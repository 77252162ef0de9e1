import Compute

/// DistilBERT (Sanh et al., 2019): BERT without token types and pooler.
enum DistilBERT: ModelFamily {
  static let modelType = "distilbert"
  static let prefixes = ["distilbert."]
  static let knownKeys = KnownKeys(
    ["dim", "n_layers", "n_heads", "hidden_dim", "activation", "max_position_embeddings"],
    // Positions made of sines are stored like learned ones.
    ignored: ["dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout", "sinusoidal_pos_embds"])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let width = try file.integer("dim")
    let heads = try file.integer("n_heads")
    let layers = try file.integer("n_layers")
    let inner = try file.integer("hidden_dim")
    let positions = try file.integer("max_position_embeddings")
    let vocabulary = try file.integer("vocab_size")
    let headWidth = try file.headWidth(width, heads: heads, key: "n_heads")
    let activation = try file.activation("activation", default: "gelu")
    let epsilon = 1e-12

    let tokens = try weights.embedding("embeddings.word_embeddings", vocabulary, width)
    let positionTable = try weights.embedding("embeddings.position_embeddings", positions, width)
    let embeddingNorm = try weights.layerNorm("embeddings.LayerNorm", width, epsilon: epsilon)
    let blocks = try (0..<layers).map { layer in
      let name = "transformer.layer.\(layer)"
      func linear(_ part: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
        try weights.linear("\(name).\(part)", inputs, outputs)
      }
      return TransformerBlock(
        arrangement: .normLast,
        attentionNorm: try weights.layerNorm("\(name).sa_layer_norm", width, epsilon: epsilon),
        attention: SelfAttention(
          .separate(
            query: try linear("attention.q_lin", width, width), key: try linear("attention.k_lin", width, width),
            value: try linear("attention.v_lin", width, width)),
          output: try linear("attention.out_lin", width, width),
          attributes: AttentionAttributes(heads: heads, scale: 1 / Float(headWidth).squareRoot()),
          headWidth: headWidth),
        feedForwardNorm: try weights.layerNorm("\(name).output_layer_norm", width, epsilon: epsilon),
        feedForward: .plain(
          input: try linear("ffn.lin1", width, inner), activation: activation,
          output: try linear("ffn.lin2", inner, width)))
    }
    let tokenHead = try weights.tokenHead(
      dense: "vocab_transform", norm: "vocab_layer_norm", output: "vocab_projector", activation: activation,
      epsilon: epsilon, tokens)
    let dense = try weights.optionalLinear("pre_classifier", width, width)
    let classifier = try weights.encoderClassifier(
      "classifier", reading: dense == nil ? .every : .first, inner: dense, width: width
    ) { hidden, tape in
      guard let dense else { return hidden }
      return try tape.activation(.relu, try dense(hidden, on: tape))
    }
    try weights.finish(ignoring: ["embeddings.position_ids"])
    return BidirectionalEncoder(
      ModelFacts(
        modelType: modelType, kind: .encoder, embeddingWidth: width, hiddenWidth: width, layers: layers, heads: heads,
        vocabularySize: vocabulary, maximumPositions: positions, endTokens: try file.identifiers("eos_token_id")),
      BidirectionalEncoder.Parts(
        tokenEmbedding: tokens, positions: LearnedPositions(table: positionTable), embeddingNorm: embeddingNorm,
        blocks: blocks, tokenHead: tokenHead, classifier: classifier),
      weights)
  }
}
