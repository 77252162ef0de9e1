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
}

/// The added tokens of a tokenizer, and how they are found in text.
struct AddedTokens: Sendable {
  /// A piece of text: an added token, or a range of bytes between them.
  enum Piece: Equatable {
    case token(Int32)
    case text(Range<Int>)
  }

  /// A token and its id.
  typealias Entry = (id: Int32, token: AddedToken)

  /// The tokens and their ids, in the order they were added.
  let tokens: [Entry]
  private let firstPass: Matcher
  private let secondPass: Matcher

  /// Tokens with distinct ids and distinct, non-empty contents.
  init(_ tokens: [Entry]) {
    self.tokens = tokens
    firstPass = Matcher(tokens.filter { !$0.token.normalized })
    secondPass = Matcher(tokens.filter { $0.token.normalized })
  }

  /// The token with this id.
  subscript(id: Int32) -> AddedToken? {
    tokens.first { $0.id == id }?.token
  }

  /// The id of the token with these bytes.
  subscript(content: [UInt8]) -> Int32? {
    tokens.first { $0.token.content == content }?.id
  }

  /// Splits text at added tokens.
  ///
  /// No text gives no piece.
  ///
  /// Tokens that are not to be normalised are found first; the others in what lies between them, whose ends count as
  /// ends of the text.
  func split(_ bytes: UnsafeBufferPointer<UInt8>, classes: UnicodeClasses) -> [Piece] {
    guard !bytes.isEmpty else { return [] }
    let whole = 0..<bytes.count
    let pieces = firstPass.isEmpty ? [Piece.text(whole)] : firstPass.split(bytes, whole, classes: classes)
    if secondPass.isEmpty { return pieces }
    return pieces.flatMap { piece in
      guard case .text(let range) = piece else { return [piece] }
      return secondPass.split(bytes, range, classes: classes)
    }
  }
}

extension AddedTokens {
  /// Finds tokens in text: the leftmost, and of those that start at one place the longest.
  private struct Matcher {
    /// For each first byte, the tokens that start with it, longest first.
    private var starts: [[Entry]]

    var isEmpty: Bool { starts.isEmpty }

    init(_ tokens: [Entry]) {
      starts = tokens.isEmpty ? [] : Array(repeating: [], count: 256)
      for entry in tokens.sorted(by: { $0.token.content.count > $1.token.content.count }) {
        starts[Int(entry.token.content[0])].append(entry)
      }
    }

    /// The token that starts at `position`, its end at most `end`.
    private func match(_ bytes: UnsafeBufferPointer<UInt8>, at position: Int, until end: Int) -> Entry? {
      let candidates = starts[Int(bytes[position])]
      if candidates.isEmpty { return nil }
      return candidates.first { candidate in
        let content = candidate.token.content
        guard position + content.count <= end else { return false }
        return bytes[position..<position + content.count].elementsEqual(content)
      }
    }

    func split(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, classes: UnicodeClasses) -> [Piece] {
      let text = TextEdges(bytes: bytes, range: range, classes: classes)
      var pieces: [Piece] = []
      var done = range.lowerBound
      var position = range.lowerBound
      while position < range.upperBound {
        guard let (id, token) = match(bytes, at: position, until: range.upperBound) else {
          position += 1
          continue
        }
        var start = position
        var stop = position + token.content.count
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

  /// What lies on either side of a place in the text.
  private struct TextEdges {
    let bytes: UnsafeBufferPointer<UInt8>
    let range: Range<Int>
    let classes: UnicodeClasses

    /// The scalar that ends at a place, and where it starts; nil at the start of the text.
    private func scalar(before position: Int) -> (value: UInt32, start: Int)? {
      var start = position
      repeat {
        guard start > range.lowerBound else { return nil }
        start -= 1
      } while bytes[start] & 0xC0 == 0x80
      return UTF8Scalars.element(in: bytes, at: start).scalar.map { ($0, start) }
    }

    /// The scalar that starts at a place, and where it ends; nil at the end of the text.
    private func scalar(after position: Int) -> (value: UInt32, end: Int)? {
      guard position < range.upperBound else { return nil }
      let element = UTF8Scalars.element(in: bytes, at: position)
      return element.scalar.map { ($0, position + element.length) }
    }

    func wordEnds(at position: Int) -> Bool {
      scalar(before: position).map { classes.isWord($0.value) } ?? false
    }

    func wordStarts(at position: Int) -> Bool {
      scalar(after: position).map { classes.isWord($0.value) } ?? false
    }

    func startOfSpace(endingAt position: Int) -> Int {
      var position = position
      while let (value, start) = scalar(before: position), classes.group(value) == .space { position = start }
      return position
    }

    func endOfSpace(startingAt position: Int) -> Int {
      var position = position
      while let (value, end) = scalar(after: position), classes.group(value) == .space { position = end }
      return position
    }
  }
}
