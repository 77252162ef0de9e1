/// White space as Python's `str.split` and `str.rstrip` see it, in UTF-8.
///
/// It is Unicode's, and the four separators U+001C to U+001F as well.
enum PythonSpace {
  /// The length of the white space character at a place, or nil where there is none.
  private static func length(_ bytes: [UInt8], at position: Int) -> Int? {
    switch bytes[position] {
    case 0x09...0x0D, 0x1C...0x20: return 1
    case 0xC2:
      guard position + 1 < bytes.count else { return nil }
      return bytes[position + 1] == 0x85 || bytes[position + 1] == 0xA0 ? 2 : nil
    case 0xE1...0xE3:
      guard position + 2 < bytes.count else { return nil }
      switch (bytes[position], bytes[position + 1], bytes[position + 2]) {
      // U+1680; U+2000 to U+200A, U+2028, U+2029, U+202F; U+205F; U+3000.
      case (0xE1, 0x9A, 0x80), (0xE2, 0x80, 0x80...0x8A), (0xE2, 0x80, 0xA8...0xA9), (0xE2, 0x80, 0xAF),
        (0xE2, 0x81, 0x9F), (0xE3, 0x80, 0x80):
        return 3
      default: return nil
      }
    default: return nil
    }
  }

  /// The pieces between white space; none is empty.
  static func split(_ bytes: [UInt8]) -> [[UInt8]] {
    var words: [[UInt8]] = []
    var start = 0
    var position = 0
    while position < bytes.count {
      if let length = length(bytes, at: position) {
        if position > start { words.append(Array(bytes[start..<position])) }
        position += length
        start = position
      } else {
        position += 1
      }
    }
    if position > start { words.append(Array(bytes[start..<position])) }
    return words
  }

  /// The text without white space at its end.
  static func trimmingEnd(_ bytes: [UInt8]) -> [UInt8] {
    var end = 0
    var position = 0
    while position < bytes.count {
      if let length = length(bytes, at: position) {
        position += length
      } else {
        position += 1
        end = position
      }
    }
    return Array(bytes[..<end])
  }
}
