/// A step that splits text into the pieces that the model takes one by one.
enum PreTokenizer: Sendable {
  /// Splits at a pattern.
  case split(TextPattern, SplitBehavior, inverted: Bool)
  /// GPT-2's: a space in front if wanted, words by the GPT-2 pattern if wanted, bytes spelled as printable characters.
  case byteLevel(addsPrefixSpace: Bool, splitsWords: Bool)
  case metaspace(Metaspace)
  /// White space and punctuation, as BERT.
  case bert
  /// Runs of word characters, and runs of others that are no white space.
  case whitespace
  case whitespaceSplit
  case punctuation(SplitBehavior)
  /// Numbers, each digit alone or in runs.
  case digits(individual: Bool)
  case delimiter(UInt32)
  /// Pieces of so many scalars.
  case fixedLength(Int)

  struct Metaspace: Sendable {
    enum Prepending: Sendable {
      case always
      /// Only where the piece is the beginning of the text.
      case first
      case never
    }

    /// What a space becomes.
    var replacement: [UInt8]
    var prepending: Prepending
    /// Whether each replacement starts a new piece.
    var splits: Bool
  }
}

/// The pre-tokenizer of a tokenizer: steps, one after the other.
struct PreTokenization: Sendable {
  private let steps: [PreTokenizer]
  /// The model takes bytes as they are, so that the byte-level step, the last, need not spell them.
  private let leavesBytes: Bool

  init(_ steps: [PreTokenizer], leavesBytes: Bool) {
    self.steps = steps
    self.leavesBytes = leavesBytes
  }

  /// Whether the last step of these, and only the last, is the byte-level one.
  static func endsInByteLevel(_ steps: [PreTokenizer]) -> Bool {
    let places = steps.indices.filter { if case .byteLevel = steps[$0] { true } else { false } }
    return places == [steps.count - 1]
  }

  /// Calls `body` with the pieces of a stretch of well-formed UTF-8, and the text that they are pieces of.
  ///
  /// `isStart` says that the stretch begins where the whole text does.
  func forPieces(
    of bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, isStart: Bool,
    _ body: (UnsafeBufferPointer<UInt8>, [Range<Int>]) -> Void
  ) {
    if range.isEmpty { return }
    run(0, bytes, [range], isStart ? range.lowerBound : nil, body)
  }

  private func run(
    _ index: Int, _ bytes: UnsafeBufferPointer<UInt8>, _ pieces: [Range<Int>], _ start: Int?,
    _ body: (UnsafeBufferPointer<UInt8>, [Range<Int>]) -> Void
  ) {
    guard index < steps.count else { return body(bytes, pieces) }
    var result: [Range<Int>] = []
    switch steps[index] {
    case .byteLevel(let addsPrefixSpace, let splitsWords):
      if addsPrefixSpace && pieces.contains(where: { bytes[$0.lowerBound] != 0x20 }) {
        rewrite(bytes, pieces) { piece, text in
          if bytes[piece.lowerBound] != 0x20 { text.append(0x20) }
          text.append(contentsOf: bytes[piece])
        } then: { text, spaced in
          byteLevel(index, text, spaced, splitsWords, body)
        }
      } else {
        byteLevel(index, bytes, pieces, splitsWords, body)
      }
    case .metaspace(let metaspace):
      rewriteSpaces(bytes, pieces, metaspace, start) { text, replaced in
        run(index + 1, text, replaced, 0, body)
      }
    default:
      result.reserveCapacity(pieces.count + bytes.count / 4)
      for piece in pieces { steps[index].split(bytes, piece, into: &result) }
      run(index + 1, bytes, result, start, body)
    }
  }

  private func byteLevel(
    _ index: Int, _ bytes: UnsafeBufferPointer<UInt8>, _ pieces: [Range<Int>], _ splitsWords: Bool,
    _ body: (UnsafeBufferPointer<UInt8>, [Range<Int>]) -> Void
  ) {
    var words = pieces
    if splitsWords {
      words.removeAll()
      words.reserveCapacity(bytes.count / 4)
      for piece in pieces {
        TextPattern.gpt2.forEachMatch(in: bytes, piece) { words.append($0) }
      }
    }
    if leavesBytes { return run(index + 1, bytes, words, nil, body) }
    rewrite(bytes, words) { piece, text in
      text.append(contentsOf: ByteAlphabet.spell(bytes[piece]))
    } then: { text, spelled in
      run(index + 1, text, spelled, 0, body)
    }
  }

  /// Writes the pieces anew, one behind the other.
  private func rewrite(
    _ bytes: UnsafeBufferPointer<UInt8>, _ pieces: [Range<Int>], _ write: (Range<Int>, inout [UInt8]) -> Void,
    then: (UnsafeBufferPointer<UInt8>, [Range<Int>]) -> Void
  ) {
    var text: [UInt8] = []
    var written: [Range<Int>] = []
    text.reserveCapacity(bytes.count + pieces.count)
    written.reserveCapacity(pieces.count)
    for piece in pieces {
      let start = text.count
      write(piece, &text)
      written.append(start..<text.count)
    }
    text.withUnsafeBufferPointer { then($0, written) }
  }

  private func rewriteSpaces(
    _ bytes: UnsafeBufferPointer<UInt8>, _ pieces: [Range<Int>], _ metaspace: PreTokenizer.Metaspace, _ start: Int?,
    then: (UnsafeBufferPointer<UInt8>, [Range<Int>]) -> Void
  ) {
    let mark = metaspace.replacement
    var text: [UInt8] = []
    var written: [Range<Int>] = []
    text.reserveCapacity(bytes.count + 3 * pieces.count + bytes.count / 3)
    written.reserveCapacity(pieces.count)
    for piece in pieces {
      var begin = text.count
      let prepends =
        switch metaspace.prepending {
        case .always: true
        case .first: piece.lowerBound == start
        case .never: false
        }
      var position = piece.lowerBound
      let startsWithMark = bytes[position] == 0x20 || bytes[piece].starts(with: mark)
      if prepends && !startsWithMark { text.append(contentsOf: mark) }
      while position < piece.upperBound {
        let isSpace = bytes[position] == 0x20
        let isMark = isSpace || (bytes[position] == mark[0] && bytes[position..<piece.upperBound].starts(with: mark))
        if isMark {
          if metaspace.splits && text.count > begin {
            written.append(begin..<text.count)
            begin = text.count
          }
          text.append(contentsOf: mark)
          position += isSpace ? 1 : mark.count
        } else {
          text.append(bytes[position])
          position += 1
        }
      }
      written.append(begin..<text.count)
    }
    text.withUnsafeBufferPointer { then($0, written) }
  }
}

extension PreTokenizer {
  /// Appends the pieces of a piece, for the steps that change no text.
  fileprivate func split(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, into pieces: inout [Range<Int>]) {
    let classes = UnicodeClasses.shared
    switch self {
    case .split(let pattern, let behavior, let inverted):
      var collector = PieceCollector(behavior, inverted: inverted, range: range, pieces: pieces)
      pattern.forEachMatch(in: bytes, range) { collector.match($0, into: &pieces) }
      collector.finish(into: &pieces)
    case .bert:
      splitAtSpace(bytes, range) { word in
        splitAt(bytes, word, .isolated, into: &pieces, where: classes.isPunctuation)
      }
    case .whitespace:
      var start = range.lowerBound
      var kind = 0
      forEachScalar(bytes, range) { scalar, position in
        let next = classes.isWord(scalar) ? 1 : classes.isSpace(scalar) ? 0 : 2
        if next != kind {
          if kind != 0 { pieces.append(start..<position) }
          kind = next
          start = position
        }
      }
      if kind != 0 { pieces.append(start..<range.upperBound) }
    case .whitespaceSplit:
      splitAtSpace(bytes, range) { pieces.append($0) }
    case .punctuation(let behavior):
      splitAt(bytes, range, behavior, into: &pieces, where: classes.isPunctuation)
    case .digits(let individual):
      splitAt(bytes, range, individual ? .isolated : .contiguous, into: &pieces, where: classes.isDigit)
    case .delimiter(let delimiter):
      splitAt(bytes, range, .removed, into: &pieces) { $0 == delimiter }
    case .fixedLength(let length):
      var start = range.lowerBound
      var count = 0
      forEachScalar(bytes, range) { _, position in
        if count == length {
          pieces.append(start..<position)
          start = position
          count = 0
        }
        count += 1
      }
      pieces.append(start..<range.upperBound)
    case .byteLevel, .metaspace:
      preconditionFailure("a step that rewrites its text")
    }
  }

  @inline(__always)
  private func forEachScalar(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ body: (UInt32, Int) -> Void
  ) {
    var position = range.lowerBound
    while position < range.upperBound {
      if bytes[position] < 0x80 {
        body(UInt32(bytes[position]), position)
        position += 1
        continue
      }
      let element = UTF8Scalars.element(in: bytes, at: position)
      body(element.scalar ?? 0xFFFD, position)
      position += element.length
    }
  }

  @inline(__always)
  private func splitAtSpace(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ word: (Range<Int>) -> Void
  ) {
    var start = -1
    forEachScalar(bytes, range) { scalar, position in
      if UnicodeClasses.shared.isSpace(scalar) {
        if start >= 0 { word(start..<position) }
        start = -1
      } else if start < 0 {
        start = position
      }
    }
    if start >= 0 { word(start..<range.upperBound) }
  }

  /// Splits where single scalars match.
  @inline(__always)
  private func splitAt(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ behavior: SplitBehavior,
    into pieces: inout [Range<Int>], where isMatch: (UInt32) -> Bool
  ) {
    var collector = PieceCollector(behavior, inverted: false, range: range, pieces: pieces)
    forEachScalar(bytes, range) { scalar, position in
      if isMatch(scalar) {
        let length = UTF8Scalars.length(of: scalar)
        collector.match(position..<position + length, into: &pieces)
      }
    }
    collector.finish(into: &pieces)
  }
}
