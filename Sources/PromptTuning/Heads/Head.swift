/// The third axis: what turns hidden states into a loss.
public enum Head: String, Sendable, Hashable, Codable, CaseIterable {
  /// The model's own output layer, scored on the target's tokens.
  case languageModel = "language-model"
}
