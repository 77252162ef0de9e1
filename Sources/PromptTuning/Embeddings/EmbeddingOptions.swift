/// How hidden states become vectors.
public enum EmbeddingPooling: String, Sendable, Hashable, Codable, CaseIterable {
  /// The first token's hidden state.
  case first = "cls"
  /// The mean over all tokens, special ones included.
  case mean
  /// One vector for each token.
  case none
  /// What the `modules.json` of a sentence encoder says, with all its steps; the mean where there is none.
  case auto
}

/// What vectors of texts are wanted.
public struct EmbeddingOptions: Sendable, Hashable, Codable {
  public var pooling: EmbeddingPooling
  /// Vectors are divided by their length.
  public var normalizes: Bool
  /// Texts that are too long lose their last tokens.
  ///
  /// A sentence encoder with `modules.json` cuts them in any case, as it was trained to.
  public var cutsTexts: Bool

  public init(pooling: EmbeddingPooling = .auto, normalizes: Bool = false, cutsTexts: Bool = false) {
    self.pooling = pooling
    self.normalizes = normalizes
    self.cutsTexts = cutsTexts
  }
}

/// The vectors of a text.
public struct TextEmbedding: Sendable, Hashable {
  /// One for the text, or one for each token.
  public var vectors: [[Float]]
  public var isPerToken: Bool
  /// Tokens at the end of the text that were left out.
  public var cutTokens: Int
}
