import Compute

/// BLOOM (BigScience, 2022): distances instead of positions (ALiBi), a norm behind the embeddings.
enum BLOOM: ModelFamily {
  static let modelType = "bloom"
  static let prefixes = ["transformer."]

  static let knownKeys = KnownKeys(
    [
      "hidden_size", "n_embed", "n_layer", "num_hidden_layers", "n_head", "num_attention_heads",
      "layer_norm_epsilon", "apply_residual_connection_post_layernorm",
    ],
    // Texts may be longer than what the model was trained on; `slow_but_exact` says in which order sums are formed.
    ignored: [
      "attention_dropout", "hidden_dropout", "slow_but_exact", "seq_length", "n_inner", "offset_alibi",
      "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "unk_token_id", "skip_bias_add",
      "skip_bias_add_qkv",
    ])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let width = try file.optionalInteger("n_embed", atLeast: 1) ?? file.integer("hidden_size")
    let layers = try file.optionalInteger("num_hidden_layers", atLeast: 1) ?? file.integer("n_layer")
    let headsKey = file.isNull("num_attention_heads") ? "n_head" : "num_attention_heads"
    let heads = try file.integer(headsKey)
    let vocabulary = try file.integer("vocab_size")
    let headWidth = try file.headWidth(width, heads: heads, key: headsKey)
    let epsilon = try file.number("layer_norm_epsilon", default: 1e-5)
    let arrangement: TransformerBlock.Arrangement =
      try file.boolean("apply_residual_connection_post_layernorm", default: false) ? .normedResidual : .normFirst
    let slopes = try weights.backend.tensor(ALiBi.slopes(heads: heads), [heads])

    func norm(_ name: String) throws -> Norm { try weights.layerNorm(name, width, epsilon: epsilon) }
    let tokens = try weights.embedding("word_embeddings", vocabulary, width)
    let embeddingNorm = try norm("word_embeddings_layernorm")
    let blocks = try (0..<layers).map { layer in
      let name = "h.\(layer)"
      return TransformerBlock(
        arrangement: arrangement,
        attentionNorm: try norm("\(name).input_layernorm"),
        attention: SelfAttention(
          .fusedByHead(try weights.linear("\(name).self_attention.query_key_value", width, 3 * width)),
          output: try weights.linear("\(name).self_attention.dense", width, width),
          attributes: AttentionAttributes(
            heads: heads, scale: 1 / Float(headWidth).squareRoot(), bias: .alibi(slopes: slopes)),
          headWidth: headWidth),
        feedForwardNorm: try norm("\(name).post_attention_layernorm"),
        feedForward: .plain(
          input: try weights.linear("\(name).mlp.dense_h_to_4h", width, 4 * width), activation: .geluTanh,
          output: try weights.linear("\(name).mlp.dense_4h_to_h", 4 * width, width)))
    }
    return try CausalDecoder(
      ModelFacts(
        modelType: modelType, embeddingWidth: width, hiddenWidth: width, layers: layers, heads: heads,
        vocabularySize: vocabulary, maximumPositions: nil, endTokens: try file.identifiers("eos_token_id")),
      CausalDecoder.Parts(
        tokenEmbedding: tokens, embeddingNorm: embeddingNorm, blocks: blocks, finalNorm: try norm("ln_f"),
        output: try weights.outputProjection(tokens, isTied: true),
        classifier: try weights.decoderClassifier(width: width)),
      weights)
  }
}
