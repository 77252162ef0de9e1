import Compute

/// BERT (Devlin et al., 2019): learned positions and token types, each branch normed after it is added.
enum BERT: ModelFamily {
  static let modelType = "bert"
  static let prefixes = ["bert."]
  static let knownKeys = EncoderConfiguration.knownKeys

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    let sizes = try EncoderConfiguration(file)
    var parts = try sizes.parts(weights, positionOffset: 0)
    parts.tokenHead = try weights.tokenHead(
      dense: "cls.predictions.transform.dense", norm: "cls.predictions.transform.LayerNorm",
      output: "cls.predictions.decoder", bias: "cls.predictions.bias", activation: sizes.activation,
      epsilon: sizes.epsilon, parts.tokenEmbedding)
    // A classifier of tokens has no pooler in front of it.
    let pooler = try weights.readsEveryToken(otherwise: parts.pooler == nil) ? nil : parts.pooler
    parts.classifier = try weights.encoderClassifier(
      "classifier", reading: pooler == nil ? .every : .first, width: sizes.width
    ) { hidden, tape in
      guard let pooler else { return hidden }
      return try tape.activation(.tanh, try pooler(hidden, on: tape))
    }
    try weights.finish(ignoring: [
      "embeddings.position_ids", "cls.seq_relationship.weight", "cls.seq_relationship.bias",
    ])
    return BidirectionalEncoder(
      try sizes.facts(modelType, maximumPositions: sizes.positions), parts, weights)
  }
}
