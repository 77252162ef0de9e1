import Evaluation
import PromptTuning
import Training

/// What a validation's line says about the answers of a head.
enum AnswerMetrics {
  /// The accuracy of labels, those of words one by one, or Pearson's correlation of values; nothing for text.
  static func fields(_ validation: Validation, labels: [String]) throws -> [MetricsLine.Field] {
    guard !validation.scores.isEmpty else { return [] }
    var (predictions, expected): ([Double], [Double]) = ([], [])
    var hits = 0
    for (scores, answer) in zip(validation.scores, validation.answers) {
      switch answer {
      case .labels: preconditionFailure("labels of words come one by one")
      case .label(let label): hits += LabelScores.best(scores) == label ? 1 : 0
      case .value(let value):
        predictions.append(Double(scores[0]))
        expected.append(value)
      }
    }
    guard predictions.isEmpty else {
      return [.init("pearson", .number(RegressionScores.pearson(predictions: predictions, labels: expected)))]
    }
    return [.init("accuracy", .number(Double(hits) / Double(validation.scores.count)))]
  }
}
