import Compute

/// Llama (Touvron et al., 2023): rotary positions, shared key and value heads, root-mean-square norms, gated layers.
enum Llama: ModelFamily {
  static let modelType = "llama"
  static let prefixes = LlamaDesign.prefixes

  static let knownKeys = KnownKeys(
    LlamaDesign.keys.union(["attention_bias", "mlp_bias"]),
    ignored: LlamaDesign.ignoredKeys.union(["is_llama_config"]),
    neutral: ["partial_rotary_factor": .number(1), "rope_interleaved": .boolean(false)])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    var design = try LlamaDesign(file)
    let hasBias = try file.boolean("attention_bias", default: false)
    design.inputBias = hasBias
    design.outputBias = hasBias
    design.feedForwardBias = try file.boolean("mlp_bias", default: false)
    return try design.build(modelType: modelType, file, weights)
  }
}

/// What Llama and the families after it share, with the points in which they differ.
struct LlamaDesign {
  static let prefixes = ["model."]

  static let keys: Set<String> = RotaryFrequencies.keys.union([
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "hidden_act", "max_position_embeddings", "rms_norm_eps",
  ])

  static let ignoredKeys: Set<String> = [
    "attention_dropout", "embd_pdrop", "resid_pdrop", "hidden_dropout", "max_sequence_length",
  ]

  let width: Int
  let layers: Int
  let heads: Int
  let keyValueHeads: Int
  var headWidth: Int
  let epsilon: Double
  let positions: Int
  /// Of queries, keys and values.
  var inputBias = false
  /// Of the attention's output.
  var outputBias = false
  var feedForwardBias = false
  /// Each head's query and key have a norm.
  var hasHeadNorms = false
  /// Of each layer; nil for none.
  var windows: [Int?]

  init(_ file: ConfigurationFile) throws {
    width = try file.integer("hidden_size")
    layers = try file.integer("num_hidden_layers")
    heads = try file.integer("num_attention_heads")
    keyValueHeads = try file.optionalInteger("num_key_value_heads", atLeast: 1) ?? heads
    guard heads % keyValueHeads == 0 else {
      throw file.error("num_key_value_heads", "is \(keyValueHeads), which does not divide the \(heads) heads")
    }
    headWidth =
      try file.optionalInteger("head_dim", atLeast: 1)
      ?? file.headWidth(width, heads: heads, key: "num_attention_heads")
    epsilon = try file.number("rms_norm_eps", default: 1e-6)
    positions = try file.integer("max_position_embeddings")
    windows = [Int?](repeating: nil, count: layers)
  }

  func build(modelType: String, _ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let inner = try file.integer("intermediate_size")
    let activation = try file.activation("hidden_act", default: "silu")
    let rotary = try RotaryEmbedding(
      try RotaryFrequencies(file, headWidth: headWidth, maximumPositions: positions), on: weights.backend)
    let (queryWidth, keyWidth) = (heads * headWidth, keyValueHeads * headWidth)

    let tokens = try weights.embedding("embed_tokens", try file.integer("vocab_size"), width)
    let blocks = try (0..<layers).map { layer in
      let name = "layers.\(layer)"
      func linear(_ part: String, _ inputs: Int, _ outputs: Int, bias: Bool) throws -> Linear {
        try weights.linear("\(name).\(part)", inputs, outputs, bias: bias)
      }
      func norm(_ part: String, _ width: Int) throws -> Norm {
        try weights.rmsNorm("\(name).\(part)", width, epsilon: epsilon)
      }
      return TransformerBlock(
        arrangement: .normFirst,
        attentionNorm: try norm("input_layernorm", width),
        attention: SelfAttention(
          .separate(
            query: try linear("self_attn.q_proj", width, queryWidth, bias: inputBias),
            key: try linear("self_attn.k_proj", width, keyWidth, bias: inputBias),
            value: try linear("self_attn.v_proj", width, keyWidth, bias: inputBias)),
          output: try linear("self_attn.o_proj", queryWidth, width, bias: outputBias),
          attributes: AttentionAttributes(
            heads: heads, keyValueHeads: keyValueHeads, scale: 1 / Float(headWidth).squareRoot(),
            window: windows[layer]),
          headWidth: headWidth, rotary: rotary,
          headNorms: hasHeadNorms
            ? (query: try norm("self_attn.q_norm", headWidth), key: try norm("self_attn.k_norm", headWidth)) : nil),
        feedForwardNorm: try norm("post_attention_layernorm", width),
        feedForward: .gated(
          gate: try linear("mlp.gate_proj", width, inner, bias: feedForwardBias),
          up: try linear("mlp.up_proj", width, inner, bias: feedForwardBias), activation: activation,
          output: try linear("mlp.down_proj", inner, width, bias: feedForwardBias)))
    }
    return try CausalDecoder(
      ModelFacts(
        modelType: modelType, embeddingWidth: width, hiddenWidth: width, layers: layers, heads: heads,
        keyValueHeads: keyValueHeads, keyWidth: keyWidth, vocabularySize: tokens.shape[0],
        maximumPositions: positions, endTokens: try file.identifiers("eos_token_id")),
      CausalDecoder.Parts(
        tokenEmbedding: tokens, blocks: blocks, finalNorm: try weights.rmsNorm("norm", width, epsilon: epsilon),
        output: try weights.outputProjection(tokens, isTied: false),
        classifier: try weights.decoderClassifier(width: width)),
      weights, ignoring: [".rotary_emb.inv_freq"])
  }

  /// The windows of Qwen models: `layer_types` if given, else the layers from `max_window_layers` on have one.
  static func windows(_ file: ConfigurationFile, layers: Int) throws -> [Int?] {
    let window =
      try file.boolean("use_sliding_window", default: false)
      ? file.optionalInteger("sliding_window", atLeast: 1, ifAbsent: 4096) : nil
    let first = try file.optionalInteger("max_window_layers", atLeast: 0) ?? 28
    let kinds =
      try file.optionalStrings("layer_types")
      ?? (0..<layers).map { window != nil && $0 >= first ? "sliding_attention" : "full_attention" }
    guard kinds.count == layers else {
      throw file.error("layer_types", "names \(kinds.count) layers, the model has \(layers)")
    }
    return try kinds.map { kind in
      switch kind {
      case "full_attention": return nil
      case "sliding_attention":
        guard let window else { throw file.error("layer_types", "asks for a window, 'use_sliding_window' is false") }
        return window
      default: throw file.error("layer_types", "has '\(kind)'; known are full_attention and sliding_attention")
      }
    }
  }
}
