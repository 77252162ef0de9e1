import PromptTuning

/// Predicted labels of words beside those of the rows they are for.
public struct ScoredWords {
  /// A row's labels, one for each word.
  public struct Row: Sendable, Hashable {
    public var predictions: [String]
    public var labels: [String]
    /// For messages.
    public var place: String

    public init(predictions: [String], labels: [String], place: String) {
      self.predictions = predictions
      self.labels = labels
      self.place = place
    }
  }

  public let rows: [Row]

  /// - Throws: `EvaluationError.badAnswer` for a row with more or fewer predictions than labels.
  public init(_ rows: [Row]) throws {
    for row in rows where row.predictions.count != row.labels.count {
      throw EvaluationError.badAnswer(
        place: row.place, reason: "\(row.predictions.count) predicted labels for \(row.labels.count) words")
    }
    self.rows = rows
  }

  /// Predictions for rows of words.
  ///
  /// - Parameter places: where each prediction stands.
  /// - Throws: `EvaluationError.badAnswer` for a row without labels, or with another number of them.
  public init(_ predictions: [[String]], for examples: [Example], places: [String]) throws {
    precondition(predictions.count == examples.count, "a prediction for each example")
    try self.init(
      zip(zip(predictions, places), examples).map { predicted, example in
        guard let labels = example.words?.labels else {
          throw EvaluationError.badAnswer(place: example.source.description, reason: "field 'labels' is missing")
        }
        return Row(predictions: predicted.0, labels: labels.map(\.text), place: predicted.1)
      })
  }

}

extension EvaluationMetric {
  /// Whether it can be computed from labels of words.
  public var comparesWords: Bool {
    switch self {
    case .loss, .perplexity, .accuracy, .macroF1, .microF1, .entityF1: true
    default: false
    }
  }

  /// - Throws: `EvaluationError.refused` for a metric that says nothing about labels of words, or about anything else.
  public static func check(_ metrics: [EvaluationMetric], ofWords isWords: Bool) throws {
    if isWords, let metric = metrics.first(where: { !$0.comparesWords }) {
      throw EvaluationError.refused("\(metric.rawValue) compares one answer a row, and here each word has a label")
    }
    if !isWords, metrics.contains(.entityF1) {
      throw EvaluationError.refused("entity-f1 compares labels of words, and these rows have one answer each")
    }
  }

  /// What is worth knowing where nobody asks for anything.
  ///
  /// - Parameter labels: of words; where they mark entities, as BIO and its relatives do, these count too.
  public static func defaults(ofLabels labels: some Sequence<String>) -> [EvaluationMetric] {
    labels.allSatisfy { EntityTag($0) != nil } ? [.accuracy, .entityF1] : [.accuracy]
  }

  /// The value of a metric of labels of words.
  ///
  /// - Returns: nil where the metric is not defined, as it is without words.
  /// - Throws: `EvaluationError.refused` for a metric of other answers; `.badAnswer` for labels that mark no entities.
  public func value(of words: ScoredWords) throws -> Double? {
    let predictions = words.rows.flatMap(\.predictions)
    let labels = words.rows.flatMap(\.labels)
    switch self {
    case .accuracy: return ClassificationScores.accuracy(predictions: predictions, labels: labels)
    case .macroF1: return ClassificationScores.macroF1(predictions: predictions, labels: labels)
    case .microF1: return ClassificationScores.microF1(predictions: predictions, labels: labels)
    case .entityF1: return try EntityScores.f1(words)
    case .loss, .perplexity: return nil
    default:
      try EvaluationMetric.check([self], ofWords: true)
      return nil
    }
  }
}
