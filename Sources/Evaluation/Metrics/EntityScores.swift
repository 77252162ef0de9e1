/// The label of a word as part of an entity: `B-PER`, `I-PER`, `O`; also `E-` and `S-` for the last and the only word.
struct EntityTag: Hashable {
  enum Part: Character {
    case begin = "B"
    case inside = "I"
    case end = "E"
    case single = "S"
    case outside = "O"
  }

  var part: Part
  /// What stands behind the first hyphen; empty without one.
  var type: String

  /// - Returns: nil for a label that marks no entity.
  init?(_ label: String) {
    guard let first = label.first, let part = Part(rawValue: first) else { return nil }
    let rest = label.dropFirst()
    guard rest.isEmpty || (part != .outside && rest.first == "-") else { return nil }
    self.part = part
    type = String(rest.dropFirst())
  }
}

/// Scores of entities: an entity is right if its first word, its last word and its type are.
///
/// The entities of labels are those of the CoNLL evaluation, as seqeval finds them in its default mode: one begins at a
/// `B` or `S`, and at an `I` or `E` that no entity of its type goes on to; it ends at an `E` or `S`, and in front of an
/// `O` or of the next one.
enum EntityScores {
  struct Entity: Hashable {
    var type: String
    var words: ClosedRange<Int>
  }

  /// Twice the right entities over predicted plus actual ones: the harmonic mean of precision and recall over all rows.
  ///
  /// - Returns: nil where there is no entity at all.
  /// - Throws: `EvaluationError.badAnswer` for a label that marks no entity.
  static func f1(_ words: ScoredWords) throws -> Double? {
    var (hits, all) = (0, 0)
    for row in words.rows {
      let predicted = Set(try entities(of: row.predictions, place: row.place))
      let actual = Set(try entities(of: row.labels, place: row.place))
      hits += predicted.intersection(actual).count
      all += predicted.count + actual.count
    }
    return all == 0 ? nil : 2 * Double(hits) / Double(all)
  }

  /// The entities of a row's labels, in order.
  static func entities(of labels: [String], place: String) throws -> [Entity] {
    var found: [Entity] = []
    // Whether the last entity may go on.
    var isOpen = false
    for (word, label) in labels.enumerated() {
      guard let tag = EntityTag(label) else {
        throw EvaluationError.badAnswer(
          place: place,
          reason: "the label '\(label)' marks no entity: entity-f1 needs labels such as B-PER, I-PER and O")
      }
      if tag.part == .outside {
        isOpen = false
        continue
      }
      let goesOn = isOpen && found.last?.type == tag.type && tag.part != .begin && tag.part != .single
      if goesOn, let last = found.last {
        found[found.count - 1].words = last.words.lowerBound...word
      } else {
        found.append(Entity(type: tag.type, words: word...word))
      }
      isOpen = tag.part == .begin || tag.part == .inside
    }
    return found
  }
}
