import Foundation
import LanguageModels
import PromptTuning

/// What an evaluation found.
public struct EvaluationReport: Sendable, Hashable, Codable {
  /// How many examples were evaluated.
  public var examples: Int
  /// Values by metric; nil (null in JSON) where a metric is not defined.
  public var metrics: [String: Double?]

  public init(examples: Int, metrics: [String: Double?]) {
    self.examples = examples
    self.metrics = metrics
  }
}

/// The loss of one example.
public struct ExampleLoss: Sendable, Hashable {
  /// The sum of its tokens' negative log-likelihoods, in nats.
  public var total: Double
  /// Tokens of the target, end token included.
  public var tokens: Int

  public init(total: Double, tokens: Int) {
    self.total = total
    self.tokens = tokens
  }

  /// The mean over its tokens, in nats.
  public var mean: Double { total / Double(tokens) }
}

/// A line of a predictions file.
public struct PredictionRow: Sendable, Hashable, Codable {
  /// The mean loss over the first target's tokens, if it was asked for.
  public var loss: Double?
  /// How many tokens that were, end token included.
  public var tokens: Int?
  /// The generated text, if it was asked for.
  public var prediction: String?
  /// The targets, beside a prediction.
  public var targets: [String]?
  /// How many virtual tokens stand in front, where that is learned.
  public var position: Int?
  /// How many virtual tokens there are, where that is learned.
  public var length: Int?
  /// The weight of each prompt of a pool.
  public var pool_weights: [Float]?
  /// How similar the most similar demonstration is, where they are retrieved.
  public var similarity: Double?

  public init(
    loss: Double? = nil, tokens: Int? = nil, prediction: String? = nil, targets: [String]? = nil,
    similarity: Double? = nil, choice: ChosenPrompt? = nil
  ) {
    self.loss = loss
    self.tokens = tokens
    self.prediction = prediction
    self.targets = targets
    self.similarity = similarity
    position = choice?.position
    length = choice?.length
    pool_weights = choice?.poolWeights
  }

  /// Writes rows as JSON Lines; the file appears whole or not at all.
  ///
  /// - Throws: `CheckpointError.unwritable`.
  public static func write(_ rows: [PredictionRow], to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let file = try AtomicFile(url)
    for row in rows { try file.write(try encoder.encode(row) + Data("\n".utf8)) }
    try file.commit()
  }
}

/// A report, the rows behind it, and what its reader should be told.
public struct EvaluationResult: Sendable {
  public var report: EvaluationReport
  /// One for each example, in order.
  public var rows: [PredictionRow]
  /// Examples whose demonstrations or input were cut to make them fit.
  public var cutExamples: Int
  /// Whole demonstrations that were cut.
  public var cutDemonstrations: Int
  /// Tokens of inputs that were cut.
  public var cutInputTokens: Int
  /// Predictions that end because the model has no further position.
  public var endedAtLastPosition: Int
  /// Predictions that end because as many tokens were made as were asked for.
  public var endedAtTokenLimit: Int
}
