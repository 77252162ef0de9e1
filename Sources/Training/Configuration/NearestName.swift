/// The known name that a misspelt one was probably meant to be.
public enum NearestName {
  /// The closest of `known` by edit distance, nil if none is close (more than a third of the letters differ).
  public static func of(_ name: String, among known: [String]) -> String? {
    let best = known.map { (name: $0, distance: editDistance(name, $0)) }.min { $0.distance < $1.distance }
    guard let best, best.distance <= max(2, max(name.count, best.name.count) / 3) else { return nil }
    return best.name
  }

  /// Insertions, deletions and substitutions that lead from one word to the other (Levenshtein, 1966).
  static func editDistance(_ first: String, _ second: String) -> Int {
    let (first, second) = (Array(first), Array(second))
    var row = Array(0...second.count)
    for (i, letter) in first.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in second.enumerated() {
        let substituted = diagonal + (letter == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[second.count]
  }
}
