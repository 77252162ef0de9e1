/// How the fields of a template are shortened when a row does not fit.
public enum FieldCut: Sendable, Hashable {
  /// The longest fields first: all that may be cut are limited to the same length.
  case longestFirst
  /// From the end: the last field that may be cut goes first, then the one before it.
  case tail

  /// What is left of fields with so many characters to share out.
  ///
  /// - Parameter budget: characters that every field may keep (`longestFirst`), or all together (`tail`).
  func prefixes(_ fields: [String], budget: Int) -> [Substring] {
    switch self {
    case .longestFirst: return fields.map { $0.prefix(budget) }
    case .tail:
      var left = budget
      return fields.map {
        let kept = $0.prefix(left)
        left -= kept.count
        return kept
      }
    }
  }

  /// The budget at which nothing is cut.
  func wholeBudget(_ fields: [String]) -> Int {
    let lengths = fields.map(\.count)
    switch self {
    case .longestFirst: return lengths.max() ?? 0
    case .tail: return lengths.reduce(0, +)
    }
  }
}
