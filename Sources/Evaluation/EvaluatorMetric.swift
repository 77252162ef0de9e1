/// What an evaluation can compute.
///
/// The raw values are the names of `--metrics`.
public enum EvaluationMetric: String, Sendable, Hashable, Codable, CaseIterable {
  /// The mean negative log-likelihood over all target tokens, end tokens included, in nats.
  case loss
  /// The exponential of the loss.
  case perplexity
  /// BLEU of the corpus with all targets as references, 0 to 100.
  case bleu
  /// ROUGE-L F1 against the best target, mean over examples.
  case rougeL = "rouge-l"
  /// The share of predictions that equal one of their targets, in the form that the task compares.
  case exactMatch = "exact-match"
  /// The share of predictions that equal their label or, without one, their first target.
  case accuracy
  /// F1 of each text that is a label (or first target) or a prediction, mean over those texts.
  case macroF1 = "macro-f1"
  /// F1 over all predictions and first targets.
  case microF1 = "micro-f1"
  /// F1 of the entities that labels of words mark, over all rows.
  case entityF1 = "entity-f1"
  /// F1 of the answers that are right, over all questions of MultiRC.
  case answerF1 = "f1a"
  /// The share of MultiRC's questions all of whose answers are judged right.
  case questionMatch = "em"
  /// Pearson's correlation of predicted numbers and labels.
  case pearson
  /// Spearman's correlation of predicted numbers and labels.
  case spearman
  /// The mean squared error of predicted numbers.
  case meanSquaredError = "mse"
  /// The share of predictions that say what the row's logic form asks for.
  case blec

  /// Whether the targets have to be scored.
  public var needsLoss: Bool { self == .loss || self == .perplexity }

  /// Whether texts have to be generated.
  public var needsText: Bool { !needsLoss }

  /// The metrics of a list such as `loss,bleu`.
  ///
  /// - Throws: `EvaluationError.refused` for an unknown or repeated name and an empty list.
  public static func list(_ names: String) throws -> [EvaluationMetric] {
    var metrics: [EvaluationMetric] = []
    for name in names.split(separator: ",", omittingEmptySubsequences: false) {
      guard let metric = EvaluationMetric(rawValue: String(name)) else {
        let known = allCases.map(\.rawValue).joined(separator: ", ")
        throw EvaluationError.refused("unknown metric '\(name)'; known are \(known)")
      }
      if !metrics.contains(metric) { metrics.append(metric) }
    }
    return metrics
  }

  /// The value of a metric of answers.
  ///
  /// - Returns: nil where the metric is not defined, as it is without examples.
  /// - Throws: `EvaluationError.badAnswer` for an answer or a row that the metric cannot use.
  public func value(of answers: ScoredAnswers) throws -> Double? {
    guard !answers.predictions.isEmpty else { return nil }
    switch self {
    case .loss, .perplexity: return nil
    case .bleu: return BLEU.corpus(predictions: answers.predictions, references: try answers.targets()).value
    case .rougeL: return ROUGEL.corpus(predictions: answers.predictions, references: try answers.targets())
    case .exactMatch:
      let compared = try answers.comparable()
      return ClassificationScores.exactMatch(predictions: compared.predictions, targets: compared.targets)
    case .accuracy:
      return ClassificationScores.accuracy(predictions: answers.classes, labels: try answers.labels())
    case .macroF1:
      return ClassificationScores.macroF1(predictions: answers.classes, labels: try answers.labels())
    case .microF1:
      return ClassificationScores.microF1(predictions: answers.classes, labels: try answers.labels())
    case .entityF1:
      try Self.check([self], ofWords: false)
      return nil
    case .answerF1:
      return GroupedAnswers.answerF1(predicted: answers.yes(answers.classes), actual: answers.yes(try answers.labels()))
    case .questionMatch:
      return GroupedAnswers.questionExactMatch(
        predicted: answers.yes(answers.classes), actual: answers.yes(try answers.labels()),
        groups: try answers.questions())
    case .pearson:
      return RegressionScores.pearson(predictions: try answers.predictedValues(), labels: try answers.labelValues())
    case .spearman:
      return RegressionScores.spearman(predictions: try answers.predictedValues(), labels: try answers.labelValues())
    case .meanSquaredError:
      return RegressionScores.meanSquaredError(
        predictions: try answers.predictedValues(), labels: try answers.labelValues())
    case .blec:
      return BLEC.corpus(
        predictions: answers.predictions, logic: try answers.logic(),
        references: try answers.targets().map { $0[0] })
    }
  }
}
