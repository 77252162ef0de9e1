import Compute

/// RoBERTa (Liu et al., 2019): BERT with another vocabulary, whose first position comes after the padding token's.
enum RoBERTa: ModelFamily {
  static let modelType = "roberta"
  static let prefixes = ["roberta."]
  static let knownKeys = EncoderConfiguration.knownKeys

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    try build(modelType, file, weights)
  }

  /// Builds a model of this family or of one that differs from it in name only.
  static func build(_ type: String, _ file: ConfigurationFile, _ weights: ParameterBuilder) throws
    -> any LanguageModel
  {
    let sizes = try EncoderConfiguration(file)
    let offset = try (file.optionalInteger("pad_token_id", atLeast: 0) ?? 1) + 1
    guard offset < sizes.positions else {
      throw file.error("max_position_embeddings", "is \(sizes.positions), of which \(offset) are never used")
    }
    var parts = try sizes.parts(weights, positionOffset: offset)
    parts.tokenHead = try weights.tokenHead(
      dense: "lm_head.dense", norm: "lm_head.layer_norm", output: "lm_head.decoder", bias: "lm_head.bias",
      activation: .gelu, epsilon: sizes.epsilon, parts.tokenEmbedding)
    let dense = try weights.optionalLinear("classifier.dense", sizes.width, sizes.width)
    parts.classifier = try weights.encoderClassifier(
      dense == nil ? "classifier" : "classifier.out_proj", reading: dense == nil ? .every : .first, inner: dense,
      width: sizes.width
    ) { hidden, tape in
      guard let dense else { return hidden }
      return try tape.activation(.tanh, try dense(hidden, on: tape))
    }
    try weights.finish(ignoring: ["embeddings.position_ids"])
    return BidirectionalEncoder(
      try sizes.facts(type, maximumPositions: sizes.positions - offset), parts, weights)
  }
}

/// XLM-R (Conneau et al., 2020): RoBERTa trained on a hundred languages.
enum XLMRoBERTa: ModelFamily {
  static let modelType = "xlm-roberta"
  static let prefixes = RoBERTa.prefixes
  static let knownKeys = RoBERTa.knownKeys

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    try RoBERTa.build(modelType, file, weights)
  }
}
