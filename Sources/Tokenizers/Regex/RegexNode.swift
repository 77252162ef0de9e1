/// A parsed regular expression.
indirect enum RegexNode: Sendable {
  enum Greed: Sendable {
    case greedy
    case lazy
    case possessive
  }

  enum Anchor: UInt8, Sendable {
    case lineStart
    case lineEnd
    case textStart
    case textEnd
    /// The end of the text, or the newline that ends it.
    case textEndOrNewline
  }

  /// Matches the empty string.
  case empty
  /// One scalar of a set.
  case set(ScalarSet)
  case sequence([RegexNode])
  /// The first alternative that leads to a match.
  case alternatives([RegexNode])
  /// `maximum` nil is without bound.
  case repeated(RegexNode, minimum: Int, maximum: Int?, Greed)
  case anchor(Anchor)
  case look(RegexNode, ahead: Bool, negated: Bool)
  /// Once matched, never tried again another way.
  case atomic(RegexNode)

  /// Whether a part of it matches a place, not text.
  var hasAssertions: Bool {
    switch self {
    case .empty, .set: false
    case .anchor, .look: true
    case .sequence(let nodes), .alternatives(let nodes): nodes.contains(where: \.hasAssertions)
    case .repeated(let node, _, _, _), .atomic(let node): node.hasAssertions
    }
  }

  /// The least and the greatest number of scalars that a match has; nil is without bound.
  var length: (minimum: Int, maximum: Int?) {
    switch self {
    case .empty, .anchor, .look: return (0, 0)
    case .set: return (1, 1)
    case .atomic(let node): return node.length
    case .sequence(let nodes):
      return nodes.map(\.length).reduce((0, 0)) { sum, next in
        (sum.0 + next.minimum, sum.1.flatMap { left in next.maximum.map { left + $0 } })
      }
    case .alternatives(let nodes):
      let lengths = nodes.map(\.length)
      let greatest = lengths.map(\.maximum)
      return (
        lengths.map(\.minimum).min() ?? 0,
        greatest.contains { $0 == nil } ? nil : greatest.compactMap(\.self).max() ?? 0
      )
    case .repeated(let node, let minimum, let maximum, _):
      let inner = node.length
      let greatest: Int?
      if inner.maximum == 0 || maximum == 0 {
        greatest = 0
      } else {
        greatest = maximum.flatMap { times in inner.maximum.map { $0 * times } }
      }
      return (inner.minimum * minimum, greatest)
    }
  }
}
