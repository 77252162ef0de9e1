/// Scores of predicted numbers.
public enum RegressionScores {
  /// The mean squared error, or nil without examples.
  public static func meanSquaredError(predictions: [Double], labels: [Double]) -> Double? {
    precondition(predictions.count == labels.count, "a label for each prediction")
    guard !predictions.isEmpty else { return nil }
    return zip(predictions, labels).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Double(predictions.count)
  }

  /// Pearson's correlation, from -1 to 1, or nil where it is not defined.
  ///
  /// It is not for fewer than two examples, where one side is constant, or with a value that is not finite.
  public static func pearson(predictions: [Double], labels: [Double]) -> Double? {
    precondition(predictions.count == labels.count, "a label for each prediction")
    guard let first = normalized(predictions), let second = normalized(labels) else { return nil }
    return min(1, max(-1, zip(first, second).reduce(0) { $0 + $1.0 * $1.1 }))
  }

  /// Spearman's correlation: Pearson's of the ranks, where equal values share the mean of their ranks.
  ///
  /// Nil where it is not defined, as for Pearson's.
  public static func spearman(predictions: [Double], labels: [Double]) -> Double? {
    precondition(predictions.count == labels.count, "a label for each prediction")
    guard predictions.allSatisfy(\.isFinite), labels.allSatisfy(\.isFinite) else { return nil }
    return pearson(predictions: ranks(predictions), labels: ranks(labels))
  }

  /// The values less their mean, scaled to length 1; nil where they are all equal, fewer than two or not finite.
  ///
  /// That they are all equal is seen from the values: rounding of the mean leaves differences where there are none. The
  /// largest difference is divided out first, so that no square overflows or vanishes.
  private static func normalized(_ values: [Double]) -> [Double]? {
    guard values.count > 1, values.allSatisfy(\.isFinite), values.contains(where: { $0 != values[0] }) else {
      return nil
    }
    let count = Double(values.count)
    let mean = values.reduce(0) { $0 + $1 / count }
    // Taking the mean out a second time removes what rounding left of it the first time.
    let rest = values.reduce(0) { $0 + ($1 - mean) / count }
    let differences = values.map { $0 - mean - rest }
    let largest = differences.reduce(0) { max($0, abs($1)) }
    guard largest > 0, largest.isFinite else { return nil }
    let scaled = differences.map { $0 / largest }
    let length = scaled.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return scaled.map { $0 / length }
  }

  /// The ranks from 1.
  private static func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var ranks = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      var end = start
      while end < order.count && values[order[end]] == values[order[start]] { end += 1 }
      for place in start..<end { ranks[order[place]] = Double(start + 1 + end) / 2 }
      start = end
    }
    return ranks
  }
}
