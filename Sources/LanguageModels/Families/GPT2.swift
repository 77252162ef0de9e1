import Compute

/// GPT-2 (Radford et al., 2019): learned positions, layer norm in front of each branch, matrices stored `[in, out]`.
enum GPT2: ModelFamily {
  static let modelType = "gpt2"
  static let prefixes = ["transformer."]

  static let knownKeys = KnownKeys(
    [
      "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function", "layer_norm_epsilon",
      "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
    ],
    ignored: [
      "n_ctx", "resid_pdrop", "embd_pdrop", "attn_pdrop", "reorder_and_upcast_attn", "summary_type",
      "summary_use_proj", "summary_activation", "summary_proj_to_labels", "summary_first_dropout",
    ])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let width = try file.integer("n_embd")
    let layers = try file.integer("n_layer")
    let heads = try file.integer("n_head")
    let positions = try file.integer("n_positions")
    let vocabulary = try file.integer("vocab_size")
    let inner = try file.optionalInteger("n_inner", atLeast: 1) ?? 4 * width
    let headWidth = try file.headWidth(width, heads: heads, key: "n_head")
    let epsilon = try file.number("layer_norm_epsilon", default: 1e-5)
    let activation = try file.activation("activation_function", default: "gelu_new")
    let scale = try file.boolean("scale_attn_weights", default: true) ? 1 / Float(headWidth).squareRoot() : 1
    let scalesByLayer = try file.boolean("scale_attn_by_inverse_layer_idx", default: false)
    // Residual branches start smaller the more of them there are (Radford et al., 2019, section 2.3).
    let residualScale = 1 / Float(2 * layers).squareRoot()

    let tokens = try weights.embedding("wte", vocabulary, width)
    let positionTable = try weights.embedding("wpe", positions, width)
    let blocks = try (0..<layers).map { layer in
      func linear(_ name: String, _ inputs: Int, _ outputs: Int, scale: Float = 1) throws -> Linear {
        try weights.linear("h.\(layer).\(name)", inputs, outputs, layout: .inputsFirst, scale: scale)
      }
      return TransformerBlock(
        arrangement: .normFirst,
        attentionNorm: try weights.layerNorm("h.\(layer).ln_1", width, epsilon: epsilon),
        attention: SelfAttention(
          .fused(try linear("attn.c_attn", width, 3 * width)),
          output: try linear("attn.c_proj", width, width, scale: residualScale),
          attributes: AttentionAttributes(heads: heads, scale: scalesByLayer ? scale / Float(layer + 1) : scale),
          headWidth: headWidth),
        feedForwardNorm: try weights.layerNorm("h.\(layer).ln_2", width, epsilon: epsilon),
        feedForward: .plain(
          input: try linear("mlp.c_fc", width, inner), activation: activation,
          output: try linear("mlp.c_proj", inner, width, scale: residualScale)))
    }
    return try CausalDecoder(
      ModelFacts(
        modelType: modelType, embeddingWidth: width, hiddenWidth: width, layers: layers, heads: heads,
        vocabularySize: vocabulary, maximumPositions: positions, endTokens: try file.identifiers("eos_token_id")),
      CausalDecoder.Parts(
        tokenEmbedding: tokens, positions: LearnedPositions(table: positionTable), blocks: blocks,
        finalNorm: try weights.layerNorm("ln_f", width, epsilon: epsilon),
        output: try weights.outputProjection(tokens, isTied: true),
        classifier: try weights.decoderClassifier(width: width)),
      weights, ignoring: [".attn.bias", ".attn.masked_bias"])
  }
}
