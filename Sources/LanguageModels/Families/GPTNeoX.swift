import Compute

/// GPT-NeoX (Black et al., 2022) and Pythia: partly rotated heads, attention and feed-forward side by side.
enum GPTNeoX: ModelFamily {
  static let modelType = "gpt_neox"
  static let prefixes = ["gpt_neox."]

  static let knownKeys = KnownKeys(
    RotaryFrequencies.keys.union([
      "max_position_embeddings", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
      "hidden_act", "layer_norm_eps", "rotary_pct", "rotary_emb_base", "partial_rotary_factor",
      "use_parallel_residual", "attention_bias",
    ]),
    ignored: [
      "attention_dropout", "hidden_dropout", "attention_probs_dropout_prob", "hidden_dropout_prob", "is_decoder",
    ])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let width = try file.integer("hidden_size")
    let layers = try file.integer("num_hidden_layers")
    let heads = try file.integer("num_attention_heads")
    let inner = try file.integer("intermediate_size")
    let positions = try file.integer("max_position_embeddings")
    let vocabulary = try file.integer("vocab_size")
    let headWidth = try file.headWidth(width, heads: heads, key: "num_attention_heads")
    let epsilon = try file.number("layer_norm_eps", default: 1e-5)
    let activation = try file.activation("hidden_act", default: "gelu")
    let hasBias = try file.boolean("attention_bias", default: true)
    let arrangement: TransformerBlock.Arrangement =
      try file.boolean("use_parallel_residual", default: true) ? .parallel : .normFirst
    let rotary = try RotaryEmbedding(
      try RotaryFrequencies(
        file, headWidth: headWidth, thetaKey: "rotary_emb_base",
        share: try file.optionalNumber("partial_rotary_factor") ?? file.number("rotary_pct", default: 0.25),
        allowsPartial: true, maximumPositions: positions),
      on: weights.backend)

    let tokens = try weights.embedding("embed_in", vocabulary, width)
    let blocks = try (0..<layers).map { layer in
      let name = "layers.\(layer)"
      return TransformerBlock(
        arrangement: arrangement,
        attentionNorm: try weights.layerNorm("\(name).input_layernorm", width, epsilon: epsilon),
        attention: SelfAttention(
          .fusedByHead(
            try weights.linear("\(name).attention.query_key_value", width, 3 * width, bias: hasBias)),
          output: try weights.linear("\(name).attention.dense", width, width, bias: hasBias),
          attributes: AttentionAttributes(heads: heads, scale: 1 / Float(headWidth).squareRoot()),
          headWidth: headWidth, rotary: rotary),
        feedForwardNorm: try weights.layerNorm("\(name).post_attention_layernorm", width, epsilon: epsilon),
        feedForward: .plain(
          input: try weights.linear("\(name).mlp.dense_h_to_4h", width, inner), activation: activation,
          output: try weights.linear("\(name).mlp.dense_4h_to_h", inner, width)))
    }
    return try CausalDecoder(
      ModelFacts(
        modelType: modelType, embeddingWidth: width, hiddenWidth: width, layers: layers, heads: heads,
        vocabularySize: vocabulary, maximumPositions: positions, endTokens: try file.identifiers("eos_token_id")),
      CausalDecoder.Parts(
        tokenEmbedding: tokens, blocks: blocks,
        finalNorm: try weights.layerNorm("final_layer_norm", width, epsilon: epsilon),
        output: try weights.outputProjection(tokens, isTied: false, names: ["embed_out", "lm_head"]),
        classifier: try weights.decoderClassifier(width: width)),
      weights, ignoring: [".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"])
  }
}
