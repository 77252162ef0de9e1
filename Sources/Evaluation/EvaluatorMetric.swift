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
  /// The share of predictions that equal one of their targets, byte for byte.
  case exactMatch = "exact-match"
  /// The share of predictions that equal their first target, byte for byte.
  case accuracy
  /// F1 of each text that is a first target or a prediction, mean over those texts.
  case macroF1 = "macro-f1"
  /// F1 over all predictions and first targets.
  case microF1 = "micro-f1"

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

  /// The value of a metric of generated text.
  ///
  /// - Parameters:
  ///   - predictions: one for each example.
  ///   - targets: at least one for each example.
  /// - Returns: nil where the metric is not defined, as it is without examples.
  func value(predictions: [String], targets: [[String]]) -> Double? {
    guard !predictions.isEmpty else { return nil }
    let labels = targets.map { $0[0] }
    return switch self {
    case .loss, .perplexity: nil
    case .bleu: BLEU.corpus(predictions: predictions, references: targets).value
    case .rougeL: ROUGEL.corpus(predictions: predictions, references: targets)
    case .exactMatch: ClassificationScores.exactMatch(predictions: predictions, targets: targets)
    case .accuracy: ClassificationScores.accuracy(predictions: predictions, labels: labels)
    case .macroF1: ClassificationScores.macroF1(predictions: predictions, labels: labels)
    case .microF1: ClassificationScores.microF1(predictions: predictions, labels: labels)
    }
  }
}
