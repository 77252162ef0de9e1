import Compute

/// OPT (Zhang et al., 2022): learned positions from row 2 on; the 350M model has its norms last and projects embeddings.
enum OPT: ModelFamily {
  static let modelType = "opt"
  static let prefixes = ["model.decoder.", "decoder."]
  static let deviationKey = "init_std"

  static let knownKeys = KnownKeys(
    [
      "max_position_embeddings", "hidden_size", "num_hidden_layers", "num_attention_heads", "ffn_dim",
      "activation_function", "do_layer_norm_before", "_remove_final_layer_norm", "word_embed_proj_dim", "enable_bias",
    ],
    ignored: ["init_std", "dropout", "attention_dropout", "activation_dropout", "layerdrop"],
    neutral: ["layer_norm_elementwise_affine": .boolean(true)])

  /// The row of position 0 in the table of positions.
  private static let firstPosition = 2

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let width = try file.integer("hidden_size")
    let embeddingWidth = try file.optionalInteger("word_embed_proj_dim", atLeast: 1) ?? width
    let layers = try file.integer("num_hidden_layers")
    let heads = try file.integer("num_attention_heads")
    let inner = try file.integer("ffn_dim")
    let positions = try file.integer("max_position_embeddings")
    let vocabulary = try file.integer("vocab_size")
    let headWidth = try file.headWidth(width, heads: heads, key: "num_attention_heads")
    let activation = try file.activation("activation_function", default: "relu")
    let hasBias = try file.boolean("enable_bias", default: true)
    let isNormFirst = try file.boolean("do_layer_norm_before", default: true)
    let hasFinalNorm = try isNormFirst && !file.boolean("_remove_final_layer_norm", default: false)

    func norm(_ name: String) throws -> Norm { try weights.layerNorm(name, width, epsilon: 1e-5) }
    func projection(_ name: String, _ inputs: Int, _ outputs: Int) throws -> Linear? {
      embeddingWidth == width ? nil : try weights.linear(name, inputs, outputs, bias: false)
    }
    let tokens = try weights.embedding("embed_tokens", vocabulary, embeddingWidth)
    let positionTable = try weights.embedding("embed_positions", positions + firstPosition, width)
    let blocks = try (0..<layers).map { layer in
      func linear(_ name: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
        try weights.linear("layers.\(layer).\(name)", inputs, outputs, bias: hasBias)
      }
      return TransformerBlock(
        arrangement: isNormFirst ? .normFirst : .normLast,
        attentionNorm: try norm("layers.\(layer).self_attn_layer_norm"),
        attention: SelfAttention(
          .separate(
            query: try linear("self_attn.q_proj", width, width), key: try linear("self_attn.k_proj", width, width),
            value: try linear("self_attn.v_proj", width, width)),
          output: try linear("self_attn.out_proj", width, width),
          attributes: AttentionAttributes(heads: heads, scale: 1 / Float(headWidth).squareRoot()),
          headWidth: headWidth),
        feedForwardNorm: try norm("layers.\(layer).final_layer_norm"),
        feedForward: .plain(
          input: try linear("fc1", width, inner), activation: activation, output: try linear("fc2", inner, width)))
    }
    return try CausalDecoder(
      ModelFacts(
        modelType: modelType, embeddingWidth: embeddingWidth, hiddenWidth: embeddingWidth, layers: layers,
        heads: heads, keyWidth: width, vocabularySize: vocabulary, maximumPositions: positions,
        endTokens: try file.identifiers("eos_token_id")),
      CausalDecoder.Parts(
        tokenEmbedding: tokens, inputProjection: try projection("project_in", embeddingWidth, width),
        positions: LearnedPositions(table: positionTable, offset: firstPosition), blocks: blocks,
        finalNorm: hasFinalNorm ? try norm("final_layer_norm") : nil,
        hiddenProjection: try projection("project_out", width, embeddingWidth),
        output: try weights.outputProjection(tokens, isTied: true),
        classifier: try weights.decoderClassifier(width: embeddingWidth)),
      weights)
  }
}
