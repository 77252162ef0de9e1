/// What Split and Replace look for: a text, or a regular expression.
enum TextPattern: Sendable {
  /// A text that is not empty.
  case literal([UInt8])
  case regex(RegexProgram)
  /// The pattern of GPT-2, by hand.
  case gpt2

  /// The pattern that `ByteLevelSplitter` follows.
  static let gpt2Pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// Throws `RegexSyntaxError`.
  init(regex pattern: String) throws {
    self = pattern == Self.gpt2Pattern ? .gpt2 : .regex(try RegexProgram(pattern))
  }

  /// Calls `found` with the matches in a range of well-formed UTF-8, from left to right.
  @inline(__always)
  func forEachMatch(
    in bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ found: (Range<Int>) -> Void
  ) {
    switch self {
    case .literal(let text):
      var position = range.lowerBound
      while position + text.count <= range.upperBound {
        if bytes[position] == text[0] && bytes[position..<position + text.count].elementsEqual(text) {
          found(position..<position + text.count)
          position += text.count
        } else {
          position += 1
        }
      }
    case .regex(let program):
      var matcher = RegexMatcher(program)
      matcher.forEachMatch(in: bytes, range, found)
    case .gpt2:
      let splitter = ByteLevelSplitter(bytes, classes: .shared)
      var start = range.lowerBound
      while start < range.upperBound {
        let end = splitter.endOfPiece(from: start, until: range.upperBound)
        found(start..<end)
        start = end
      }
    }
  }
}
