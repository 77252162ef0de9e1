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
    // `feed_forward_proj` says what `dense_act_fn` and `is_gated_act` repeat; positions have no limit.
    ignored: ["dropout_rate", "dense_act_fn", "is_gated_act", "n_positions"],
    neutral: ["is_decoder": .boolean(false)])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let isTied = try file.boolean("tie_word_embeddings", default: true)
    // Where the embedding serves as the output projection, hidden states are scaled down to it.
    return try build(
      modelType, scalesOutput: try file.boolean("scale_decoder_outputs", default: isTied), file, weights)
  }

  /// Builds a model of this family or of one that differs from it in the scale of the output only.
  static func build(_ type: String, scalesOutput: Bool, _ file: ConfigurationFile, _ weights: ParameterBuilder) throws
    -> any LanguageModel
  {
    let layers = try T5Layers(file, weights)
    var facts = ModelFacts(
      modelType: type, kind: .encoderDecoder, embeddingWidth: layers.width, hiddenWidth: layers.width,
      layers: layers.encoderLayers, heads: layers.heads, keyWidth: layers.innerWidth,
      vocabularySize: layers.vocabulary, maximumPositions: nil, endTokens: try file.identifiers("eos_token_id"))
    let tokens = try weights.embedding("shared", layers.vocabulary, layers.width)
    for stack in ["encoder", "decoder"] { try weights.skipCopy("\(stack).embed_tokens.weight", of: tokens) }
    let encoderParts = BidirectionalEncoder.Parts(
      tokenEmbedding: tokens, blocks: try layers.encoder(), finalNorm: try layers.norm("encoder.final_layer_norm"))
    // Sentence encoders are stored without the decoder.
    if weights.isCheckpoint, weights.storedShape("decoder.final_layer_norm.weight") == nil {
      facts.kind = .encoder
      try weights.finish()
      return BidirectionalEncoder(facts, encoderParts, weights)
    }
    let decoder = try layers.decoder()
    let decoderNorm = try layers.norm("decoder.final_layer_norm")
    // A stored projection counts whatever `tie_word_embeddings` says, which newer files of version 1.1 set to true.
    let hasOutput = weights.storedShape("lm_head.weight") != nil
    let output =
      hasOutput
      ? try weights.linear("lm_head", layers.width, layers.vocabulary, bias: false)
      : Linear(weight: tokens, roundsOperands: weights.options.roundsOperands)
    try weights.finish(ignoring: ["EncDecAttention.relative_attention_bias.weight"])
    return EncoderDecoder(
      facts, encoder: BidirectionalEncoder(facts, encoderParts, weights),
      EncoderDecoder.Parts(
        startToken: try layers.startToken(), padToken: try file.identifiers("pad_token_id").first, blocks: decoder,
        finalNorm: decoderNorm,
        outputScale: scalesOutput ? 1 / Float(layers.width).squareRoot() : 1, output: output),
      weights)
  }
}

/// mT5 (Xue et al., 2021): T5 version 1.1 for a hundred languages; the output is never scaled.
enum MT5: ModelFamily {
  static let modelType = "mt5"
  static let prefixes: [String] = []
  static let deviationKey = T5.deviationKey
  static let knownKeys = T5.knownKeys

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    try T5.build(modelType, scalesOutput: false, file, weights)
  }
}
