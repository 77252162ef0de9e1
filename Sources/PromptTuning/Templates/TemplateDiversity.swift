/// How unlike templates are, and the choice of unlike ones from many.
///
/// Templates are compared word by word, a `{field}` being a word like any other: a weighted sum of the Hamming distance
/// and the Levenshtein distance, each over the length of the longer template. DynaMaR (Sun et al., 2022) names the two
/// distances; level, weights and the way of choosing are settled here.
public struct TemplateDiversity: Sendable, Hashable {
  /// The weight of the Hamming distance, from 0 to 1; the Levenshtein distance has the rest.
  public var hammingWeight: Double

  /// - Throws: `MethodError.refused` for a weight outside 0...1.
  public init(hammingWeight: Double = 0.5) throws {
    guard (0...1).contains(hammingWeight) else {
      throw MethodError.refused("--template-hamming-weight is \(hammingWeight), it must be from 0 to 1")
    }
    self.hammingWeight = hammingWeight
  }

  /// How unlike two templates are: 0 for equal ones, at most 1.
  public func dissimilarity(_ first: TextTemplate, _ second: TextTemplate) -> Double {
    let (one, other) = (first.words, second.words)
    let length = Double(max(one.count, other.count, 1))
    return hammingWeight * Double(Self.hamming(one, other)) / length
      + (1 - hammingWeight) * Double(Self.levenshtein(one, other)) / length
  }

  /// Places of templates that are unlike each other, in ascending order.
  ///
  /// It begins with the first template; each next one is the one whose nearest among those chosen is furthest, the
  /// earlier one of equals.
  ///
  /// - Throws: `MethodError.refused` if fewer templates are there than asked for.
  public func choose(_ count: Int, of templates: [TextTemplate]) throws -> [Int] {
    guard count >= 1, count <= templates.count else {
      throw MethodError.refused("\(count) templates are asked for, there are \(templates.count)")
    }
    var chosen = [0]
    var nearest = templates.map { dissimilarity(templates[0], $0) }
    while chosen.count < count {
      var best = -1
      for place in templates.indices where !chosen.contains(place) {
        if best < 0 || nearest[place] > nearest[best] { best = place }
      }
      chosen.append(best)
      for place in templates.indices {
        nearest[place] = min(nearest[place], dissimilarity(templates[best], templates[place]))
      }
    }
    return chosen.sorted()
  }

  /// Places at which two lists differ; what one is longer by differs.
  static func hamming(_ first: [Substring], _ second: [Substring]) -> Int {
    max(first.count, second.count) - zip(first, second).count { $0 == $1 }
  }

  /// The fewest insertions, deletions and replacements that turn one list into the other.
  static func levenshtein(_ first: [Substring], _ second: [Substring]) -> Int {
    var distances = Array(0...second.count)
    for (row, word) in first.enumerated() {
      var diagonal = distances[0]
      distances[0] = row + 1
      for column in second.indices {
        let replaced = diagonal + (word == second[column] ? 0 : 1)
        diagonal = distances[column + 1]
        distances[column + 1] = min(replaced, diagonal + 1, distances[column] + 1)
      }
    }
    return distances[second.count]
  }
}
