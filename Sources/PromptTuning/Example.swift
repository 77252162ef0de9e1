/// Where an example stands.
public struct ExampleSource: Sendable, Hashable, Codable, CustomStringConvertible {
  public var file: String
  /// Counted from 1.
  public var line: Int

  public init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  public var description: String { "\(file):\(line)" }
}

/// One example of a generation task.
public struct Example: Sendable, Hashable, Codable {
  public var input: String
  /// At least one; training uses the first.
  public var targets: [String]
  public var source: ExampleSource

  public init(input: String, targets: [String], source: ExampleSource) {
    precondition(!targets.isEmpty, "an example has at least one target")
    self.input = input
    self.targets = targets
    self.source = source
  }
}

/// An example as token ids, ready for a batch.
public struct EncodedExample: Sendable, Hashable {
  public var source: ExampleSource
  /// What the model reads before the target: demonstrations and input.
  ///
  /// Never empty.
  public var context: [Int32]
  /// What is scored: the target and the end token.
  public var target: [Int32]
  /// Whole demonstrations that were left out to make it fit.
  public var cutDemonstrations: Int
  /// Tokens of the input that were left out to make it fit.
  public var cutInputTokens: Int
  /// How similar the most similar of retrieved demonstrations is.
  public var similarity: Double?

  public init(
    source: ExampleSource, context: [Int32], target: [Int32], cutDemonstrations: Int = 0, cutInputTokens: Int = 0,
    similarity: Double? = nil
  ) {
    self.source = source
    self.context = context
    self.target = target
    self.cutDemonstrations = cutDemonstrations
    self.cutInputTokens = cutInputTokens
    self.similarity = similarity
  }

  /// Input, target and end tokens.
  public var tokenCount: Int { context.count + target.count }
}
