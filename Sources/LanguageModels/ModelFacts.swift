/// What a model reads and what it answers.
public enum ModelKind: String, Sendable, Hashable, Codable {
  /// Each token sees those before it; the next token is predicted.
  case causal
  /// Each token sees all others; hidden states, or masked tokens, are wanted.
  case encoder
  /// An encoder reads the input, a causal decoder writes the output.
  case encoderDecoder = "encoder-decoder"
}

/// The sizes of a model that its users need.
public struct ModelFacts: Sendable, Hashable, Codable {
  /// `model_type` of `config.json`.
  public var modelType: String
  public var kind: ModelKind
  /// Width of the token embeddings, and so of a soft prompt.
  public var embeddingWidth: Int
  /// Width of the final hidden states.
  public var hiddenWidth: Int
  public var layers: Int
  public var heads: Int
  /// Heads of keys and values, which several query heads may share.
  public var keyValueHeads: Int
  /// Columns of the keys of a layer, all heads together.
  public var keyWidth: Int
  /// Columns of the values of a layer, all heads together.
  public var valueWidth: Int
  /// Rows of the token embedding and of the output projection.
  public var vocabularySize: Int
  /// How many positions there are; nil where there is no limit.
  public var maximumPositions: Int?
  /// The end tokens of `config.json`.
  public var endTokens: [Int32]

  /// - Parameters:
  ///   - keyValueHeads: as `heads` if nil.
  ///   - keyWidth: as `hiddenWidth` if nil.
  ///   - valueWidth: as `keyWidth` if nil.
  public init(
    modelType: String, kind: ModelKind = .causal, embeddingWidth: Int, hiddenWidth: Int, layers: Int, heads: Int,
    keyValueHeads: Int? = nil, keyWidth: Int? = nil, valueWidth: Int? = nil, vocabularySize: Int,
    maximumPositions: Int?, endTokens: [Int32]
  ) {
    self.modelType = modelType
    self.kind = kind
    self.embeddingWidth = embeddingWidth
    self.hiddenWidth = hiddenWidth
    self.layers = layers
    self.heads = heads
    self.keyValueHeads = keyValueHeads ?? heads
    self.keyWidth = keyWidth ?? hiddenWidth
    self.valueWidth = valueWidth ?? self.keyWidth
    self.vocabularySize = vocabularySize
    self.maximumPositions = maximumPositions
    self.endTokens = endTokens
  }
}
