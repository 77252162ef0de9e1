import Compute

/// GPT-Neo (Black et al., 2021): GPT-2 with unscaled scores and a window in every other layer.
enum GPTNeo: ModelFamily {
  static let modelType = "gpt_neo"
  static let prefixes = ["transformer."]

  static let knownKeys = KnownKeys(
    [
      "max_position_embeddings", "hidden_size", "num_layers", "num_heads", "intermediate_size", "attention_types",
      "attention_layers", "window_size", "activation_function", "layer_norm_epsilon",
    ],
    ignored: [
      "resid_dropout", "embed_dropout", "attention_dropout", "summary_type", "summary_use_proj",
      "summary_activation", "summary_proj_to_labels", "summary_first_dropout",
    ])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let width = try file.integer("hidden_size")
    let layers = try file.integer("num_layers")
    let heads = try file.integer("num_heads")
    let positions = try file.integer("max_position_embeddings")
    let vocabulary = try file.integer("vocab_size")
    let inner = try file.optionalInteger("intermediate_size", atLeast: 1) ?? 4 * width
    let headWidth = try file.headWidth(width, heads: heads, key: "num_heads")
    let epsilon = try file.number("layer_norm_epsilon", default: 1e-5)
    let activation = try file.activation("activation_function", default: "gelu_new")
    let windows = try windows(file, layers: layers)

    let tokens = try weights.embedding("wte", vocabulary, width)
    let positionTable = try weights.embedding("wpe", positions, width)
    let blocks = try (0..<layers).map { layer in
      let name = "h.\(layer)"
      return TransformerBlock(
        arrangement: .normFirst,
        attentionNorm: try weights.layerNorm("\(name).ln_1", width, epsilon: epsilon),
        attention: SelfAttention(
          .separate(
            query: try weights.linear("\(name).attn.attention.q_proj", width, width, bias: false),
            key: try weights.linear("\(name).attn.attention.k_proj", width, width, bias: false),
            value: try weights.linear("\(name).attn.attention.v_proj", width, width, bias: false)),
          output: try weights.linear("\(name).attn.attention.out_proj", width, width),
          attributes: AttentionAttributes(heads: heads, scale: 1, window: windows[layer]),
          headWidth: headWidth),
        feedForwardNorm: try weights.layerNorm("\(name).ln_2", width, epsilon: epsilon),
        feedForward: .plain(
          input: try weights.linear("\(name).mlp.c_fc", width, inner), activation: activation,
          output: try weights.linear("\(name).mlp.c_proj", inner, width)))
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
      weights, ignoring: [".attn.attention.bias", ".attn.attention.masked_bias"])
  }

  /// The window of each layer, nil for `global` ones.
  ///
  /// `attention_types` lists groups of layers with how often each group is repeated; `attention_layers` is the same
  /// list written out.
  private static func windows(_ file: ConfigurationFile, layers: Int) throws -> [Int?] {
    let groups = try file.optionalRepeatedStrings("attention_types")
    let writtenOut = try file.optionalStrings("attention_layers")
    let listed = groups.map { $0.flatMap { [[String]](repeating: $0.strings, count: $0.count).flatMap { $0 } } }
    let kinds = listed ?? writtenOut ?? (0..<layers).map { $0 % 2 == 0 ? "global" : "local" }
    if let writtenOut, writtenOut != kinds {
      throw file.error("attention_layers", "says something else than 'attention_types'")
    }
    guard kinds.count == layers else {
      throw file.error("attention_types", "names \(kinds.count) layers, 'num_layers' is \(layers)")
    }
    let window = try file.optionalInteger("window_size", atLeast: 1) ?? 256
    return try kinds.map { kind in
      switch kind {
      case "global": nil
      case "local": window
      default: throw file.error("attention_types", "has '\(kind)'; known are global and local")
      }
    }
  }
}
