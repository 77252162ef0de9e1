/// What becomes of the matches that text is split at.
enum SplitBehavior: String, Sendable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"
}

/// Collects the pieces of one stretch of text from its matches.
struct PieceCollector {
  private let behavior: SplitBehavior
  /// The text between the matches counts as the matches.
  private let inverted: Bool
  private let range: Range<Int>
  private var done: Int
  private var previousIsMatch = false
  /// The index of the first piece of this stretch.
  private let first: Int
  /// For `mergedWithNext`: matches at the end of the pieces that wait for what follows.
  private var stretches: [(range: Range<Int>, isMatch: Bool)] = []

  init(_ behavior: SplitBehavior, inverted: Bool, range: Range<Int>, pieces: [Range<Int>]) {
    self.behavior = behavior
    self.inverted = inverted
    self.range = range
    done = range.lowerBound
    first = pieces.count
  }

  @inline(__always)
  mutating func match(_ match: Range<Int>, into pieces: inout [Range<Int>]) {
    if done < match.lowerBound { add(done..<match.lowerBound, isMatch: inverted, into: &pieces) }
    add(match, isMatch: !inverted, into: &pieces)
    done = match.upperBound
  }

  mutating func finish(into pieces: inout [Range<Int>]) {
    if done < range.upperBound { add(done..<range.upperBound, isMatch: inverted, into: &pieces) }
    if behavior == .contiguous || behavior == .mergedWithPrevious {
      if pieces[first...].contains(where: \.isEmpty) {
        pieces.replaceSubrange(first..., with: pieces[first...].filter { !$0.isEmpty })
      }
    }
    guard behavior == .mergedWithNext else { return }
    var merged: [Range<Int>] = []
    var previous = false
    for (range, isMatch) in stretches.reversed() {
      if isMatch && !previous, let last = merged.last {
        merged[merged.count - 1] = range.lowerBound..<last.upperBound
      } else {
        merged.append(range)
      }
      previous = isMatch
    }
    pieces.append(contentsOf: merged.reversed().filter { !$0.isEmpty })
  }

  @inline(__always)
  private mutating func add(_ range: Range<Int>, isMatch: Bool, into pieces: inout [Range<Int>]) {
    switch behavior {
    case .isolated:
      if !range.isEmpty { pieces.append(range) }
    case .removed:
      if !isMatch && !range.isEmpty { pieces.append(range) }
    case .contiguous, .mergedWithPrevious:
      let merges = behavior == .contiguous ? isMatch == previousIsMatch : isMatch && !previousIsMatch
      if merges && pieces.count > first {
        pieces[pieces.count - 1] = pieces[pieces.count - 1].lowerBound..<range.upperBound
      } else {
        pieces.append(range)
      }
      previousIsMatch = isMatch
    case .mergedWithNext:
      stretches.append((range, isMatch))
    }
  }
}
