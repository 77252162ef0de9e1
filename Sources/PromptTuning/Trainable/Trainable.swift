/// The fourth axis: what is trained.
public enum Trainable: String, Sendable, Hashable, Codable, CaseIterable {
  /// The prompt; the model is frozen.
  case prompt
  /// Every weight of the model, and the prompt if there is one.
  case all
  /// Nothing.
  case none
}
