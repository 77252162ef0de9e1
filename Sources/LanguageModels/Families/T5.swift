import Compute

/// T5 (Raffel et al., 2020): relative positions, root-mean-square norms, no scaling of scores; also version 1.1 and the
/// LM-adapted models, whose feed-forward layers are gated and whose output projection is not tied.
enum T5: ModelFamily {
  static let modelType = "t5"
  static let prefixes: [String] = []
  static let deviationKey = "initializer_factor"
  static let knownKeys = KnownKeys(
    [
      "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads", "relative_attention_num_buckets",
      "relative_attention_max_distance", "layer_norm_epsilon", "feed_forward_proj", "initializer_factor",
      "scale_decoder_outputs",
    ],
    // What `feed_forward_proj` says counts; no position beyond `n_positions` is refused.
    ignored: ["dropout_rate", "dense_act_fn", "is_gated_act", "n_positions", "output_past"],
    neutral: ["is_decoder": .boolean(false)])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let isTied = try file.boolean("tie_word_embeddings", default: true)
    // Where the embedding serves as the output projection, hidden states are scaled to its size.
    return try build(modelType, scalesOutput: file.boolean("scale_decoder_outputs", default: isTied), file, weights)
  }

  /// Builds a model of this family or of one that differs from it in the scale of the output only.
  static func build(_ type: String, scalesOutput: Bool, _ file: ConfigurationFile, _ weights: ParameterBuilder) throws
    -> any LanguageModel
  {
    let sizes = try Sizes(file)
    let tokens = try weights.embedding("shared", sizes.vocabulary, sizes.width)
    for stack in ["encoder", "decoder"] { try weights.skipTied("\(stack).embed_tokens.weight", to: tokens) }
    let table = try sizes.table("encoder", weights)
    let encoder = try (0..<sizes.layers).map { layer in
      let name = "encoder.block.\(layer).layer"
      return TransformerBlock(
        arrangement: .normFirst, attentionNorm: try sizes.norm("\(name).0.layer_norm", weights),
        attention: try sizes.attention("\(name).0.SelfAttention", table, bidirectional: true, weights),
        feedForwardNorm: try sizes.norm("\(name).1.layer_norm", weights),
        feedForward: try sizes.feedForward("\(name).1.DenseReluDense", weights))
    }
    let encoderNorm = try sizes.norm("encoder.final_layer_norm", weights)
    let facts = ModelFacts(
      modelType: type, kind: .encoderDecoder, embeddingWidth: sizes.width, hiddenWidth: sizes.width,
      layers: sizes.layers, heads: sizes.heads, keyWidth: sizes.heads * sizes.headWidth,
      vocabularySize: sizes.vocabulary, maximumPositions: nil, endTokens: try file.identifiers("eos_token_id"))
    let encoderParts = RelativeEncoder.Parts(tokenEmbedding: tokens, blocks: encoder, finalNorm: encoderNorm)
    // Sentence encoders are stored without the decoder.
    guard !weights.isCheckpoint || weights.storedShape("decoder.final_layer_norm.weight") != nil else {
      return try RelativeEncoder(facts, encoderParts, weights)
    }
    let decoderTable = try sizes.table("decoder", weights)
    let decoder = try (0..<sizes.decoderLayers).map { layer in
      let name = "decoder.block.\(layer).layer"
      return CrossAttentionBlock(
        attentionNorm: try sizes.norm("\(name).0.layer_norm", weights),
        attention: try sizes.attention("\(name).0.SelfAttention", decoderTable, bidirectional: false, weights),
        memoryNorm: try sizes.norm("\(name).1.layer_norm", weights),
        memoryAttention: try sizes.memoryAttention("\(name).1.EncDecAttention", weights),
        feedForwardNorm: try sizes.norm("\(name).2.layer_norm", weights),
        feedForward: try sizes.feedForward("\(name).2.DenseReluDense", weights))
    }
    let decoderNorm = try sizes.norm("decoder.final_layer_norm", weights)
    // A projection that is stored counts, whatever 'tie_word_embeddings' says: files of version 1.1 differ in that.
    let ownOutput = weights.storedShape("lm_head.weight") != nil
    let output =
      ownOutput
      ? try weights.linear("lm_head", sizes.width, sizes.vocabulary, bias: false) : weights.tied(to: tokens)
    return try EncoderDecoder(
      facts, encoderParts,
      EncoderDecoder.Parts(
        startToken: try sizes.startToken(file), blocks: decoder, finalNorm: decoderNorm,
        outputScale: scalesOutput ? 1 / Float(sizes.width).squareRoot() : 1, output: output),
      weights,
      ignoring: ["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"])
  }
}

/// mT5 (Xue et al., 2021): T5 version 1.1 for a hundred languages; hidden states are never scaled.
enum MT5: ModelFamily {
  static let modelType = "mt5"
  static let prefixes: [String] = []
  static let deviationKey = T5.deviationKey
  static let knownKeys = T5.knownKeys

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    try T5.build(modelType, scalesOutput: false, file, weights)
  }
}
