/// A token that is looked for in the text itself, before the model sees it.
struct AddedToken: Sendable, Equatable {
  var content: [UInt8]
  /// Found only where no word character touches it.
  var singleWord = false
  /// Takes the white space in front of it with it.
  var stripsLeft = false
  /// Takes the white space behind it with it.
  var stripsRight = false
  /// Looked for in the normalised text, that is, after the tokens that are not.
  var normalized = true
  /// Left out by `decode(_:skipSpecialTokens:)`.
  var special = false
  /// The content as the normaliser leaves it, where that is another.
  var normalizedContent: [UInt8]?

  /// What is looked for.
  var pattern: [UInt8] { normalizedContent ?? content }
}

/// The added tokens of a tokenizer, and how they are found in text.
struct AddedTokens: Sendable {
  /// A piece of text: an added token, or a range of bytes between them.
  enum Piece: Equatable {
    case token(Int32)
    case text(Range<Int>)
  }

  /// When tokens are looked for.
  ///
  /// Those that are not to be normalised are found first, in the text as it is given; the others in what lies between
  /// them, when it is normalised. The ends of such a stretch count as ends of the text.
  enum Pass {
    case beforeNormalizing
    case afterNormalizing
  }

  /// A token and its id.
  typealias Entry = (id: Int32, token: AddedToken)

  /// The tokens and their ids, in the order they were added.
  let tokens: [Entry]
  private let places: [Int32: Int]
  private let ids: [[UInt8]: Int32]
  private let firstPass: Matcher
  private let secondPass: Matcher

  /// Tokens with distinct ids and distinct, non-empty contents.
  init(_ tokens: [Entry]) {
    self.tokens = tokens
    places = Dictionary(tokens.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
    ids = Dictionary(tokens.map { ($0.token.content, $0.id) }, uniquingKeysWith: { first, _ in first })
    firstPass = Matcher(tokens.filter { !$0.token.normalized })
    secondPass = Matcher(tokens.filter { $0.token.normalized && !$0.token.pattern.isEmpty })
  }

  /// The token with this id.
  subscript(id: Int32) -> AddedToken? {
    places[id].map { tokens[$0].token }
  }

  /// The id of the token with these bytes.
  subscript(content: [UInt8]) -> Int32? {
    ids[content]
  }

  /// Splits a stretch of text at the added tokens of one pass; no text gives no piece.
  func split(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ pass: Pass) -> [Piece] {
    if range.isEmpty { return [] }
    let matcher = pass == .beforeNormalizing ? firstPass : secondPass
    return matcher.isEmpty ? [.text(range)] : matcher.split(bytes, range)
  }
}

extension AddedTokens {
  /// Finds tokens in text: the leftmost, and of those that start at one place the longest.
  private struct Matcher {
    /// For each first byte, the tokens that start with it, longest first.
    private var starts: [[Entry]]
    private var firstBytes = RegexProgram.ByteSet()

    var isEmpty: Bool { starts.isEmpty }

    init(_ tokens: [Entry]) {
      starts = tokens.isEmpty ? [] : Array(repeating: [], count: 256)
      for entry in tokens.sorted(by: { $0.token.pattern.count > $1.token.pattern.count }) {
        starts[Int(entry.token.pattern[0])].append(entry)
        firstBytes.insert(entry.token.pattern[0]...entry.token.pattern[0])
      }
    }

    /// The token that starts at `position`, its end at most `end`.
    private func match(_ bytes: UnsafeBufferPointer<UInt8>, at position: Int, until end: Int) -> Entry? {
      let candidates = starts[Int(bytes[position])]
      if candidates.isEmpty { return nil }
      return candidates.first { candidate in
        let content = candidate.token.pattern
        guard position + content.count <= end else { return false }
        return bytes[position..<position + content.count].elementsEqual(content)
      }
    }

    func split(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> [Piece] {
      let text = TextEdges(bytes: bytes, range: range, classes: .shared)
      var pieces: [Piece] = []
      var done = range.lowerBound
      var position = range.lowerBound
      while position < range.upperBound {
        guard firstBytes.contains(bytes[position]),
          let (id, token) = match(bytes, at: position, until: range.upperBound)
        else {
          position += 1
          continue
        }
        var start = position
        var stop = position + token.pattern.count
        position = stop
        if token.singleWord && (text.wordEnds(at: start) || text.wordStarts(at: stop)) { continue }
        if token.stripsLeft { start = text.startOfSpace(endingAt: start) }
        if token.stripsRight { stop = text.endOfSpace(startingAt: stop) }
        if done < start { pieces.append(.text(done..<start)) }
        pieces.append(.token(id))
        done = stop
      }
      if done != range.upperBound { pieces.append(.text(done..<range.upperBound)) }
      return pieces
    }
  }
}
