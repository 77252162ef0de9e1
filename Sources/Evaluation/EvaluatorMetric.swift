/// What an evaluation can compute.
///
/// The raw values are the names of `--metrics`.
public enum EvaluationMetric: String, Sendable, Hashable, Codable, CaseIterable {
  /// The mean negative log-likelihood over all target tokens, end tokens included, in nats.
  case loss
  /// The exponential of the loss.
  case perplexity
  /// The share of predictions that equal one of their targets, byte for byte.
  case exactMatch = "exact-match"
  /// The share of predictions that equal their first target, byte for byte.
  case accuracy

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
    switch self {
    case .loss, .perplexity: nil
    case .exactMatch:
      share(
        zip(predictions, targets).map { prediction, targets in
          targets.contains { $0.utf8.elementsEqual(prediction.utf8) }
        })
    case .accuracy: share(zip(predictions, targets).map { $0.utf8.elementsEqual($1[0].utf8) })
    }
  }

  private func share(_ hits: [Bool]) -> Double? {
    hits.isEmpty ? nil : Double(hits.count { $0 }) / Double(hits.count)
  }
}
