/// Scores of predictions that are right or wrong.
///
/// Texts and labels are equal only if their UTF-8 bytes are.
public enum ClassificationScores {
  /// The share of predictions that equal one of their targets, from 0 to 1, or nil without examples.
  public static func exactMatch(predictions: [String], targets: [[String]]) -> Double? {
    precondition(predictions.count == targets.count, "a list of targets for each prediction")
    return share(zip(predictions, targets).map { prediction, targets in targets.contains { equal($0, prediction) } })
  }

  /// The share of predictions that equal their label, from 0 to 1, or nil without examples.
  public static func accuracy(predictions: [String], labels: [String]) -> Double? {
    precondition(predictions.count == labels.count, "a label for each prediction")
    return share(zip(predictions, labels).map { equal($0, $1) })
  }

  /// The mean F1 of all labels that occur among the predictions or the labels, or nil without examples.
  public static func macroF1(predictions: [String], labels: [String]) -> Double? {
    let counts = counts(predictions, labels)
    // The order of a dictionary's values changes from run to run, and with it the last digit of a sum.
    let scores = counts.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value.f1)
    return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
  }

  /// The F1 of the counts of all labels together, or nil without examples.
  ///
  /// With one label for each example, as here, it equals the accuracy.
  public static func microF1(predictions: [String], labels: [String]) -> Double? {
    let counts = counts(predictions, labels).values
    guard !counts.isEmpty else { return nil }
    return counts.reduce(into: Counts()) { sum, label in
      sum.hits += label.hits
      sum.predicted += label.predicted
      sum.actual += label.actual
    }.f1
  }

  /// How often a label was predicted, was right, and was both.
  private struct Counts {
    var hits = 0
    var predicted = 0
    var actual = 0

    /// Twice the hits over predicted plus actual: the harmonic mean of precision and recall.
    var f1: Double { 2 * Double(hits) / Double(predicted + actual) }
  }

  private static func counts(_ predictions: [String], _ labels: [String]) -> [[UInt8]: Counts] {
    precondition(predictions.count == labels.count, "a label for each prediction")
    var counts: [[UInt8]: Counts] = [:]
    for (prediction, label) in zip(predictions, labels) {
      counts[Array(prediction.utf8), default: Counts()].predicted += 1
      counts[Array(label.utf8), default: Counts()].actual += 1
      if equal(prediction, label) { counts[Array(label.utf8), default: Counts()].hits += 1 }
    }
    return counts
  }

  private static func equal(_ first: String, _ second: String) -> Bool {
    first.utf8.elementsEqual(second.utf8)
  }

  private static func share(_ hits: [Bool]) -> Double? {
    hits.isEmpty ? nil : Double(hits.count { $0 }) / Double(hits.count)
  }
}
