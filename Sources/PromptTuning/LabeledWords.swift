/// A text as words, each with a label of its own.
public struct LabeledWords: Sendable, Hashable, Codable {
  public var words: [String]
  /// As many as there are words; nil where nobody labelled them.
  public var labels: [ExampleLabel]?

  public init(_ words: [String], labels: [ExampleLabel]?) {
    precondition(labels.map { $0.count == words.count } ?? true, "a label for each word")
    self.words = words
    self.labels = labels
  }
}

extension Example {
  /// The labels that it has: its own, or those of its words.
  public var labels: [ExampleLabel] { words?.labels ?? label.map { [$0] } ?? [] }
}
