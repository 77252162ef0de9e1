/// The word splitting of mteval-v13a, known as tokenizer `13a`.
///
/// Everything it looks at is ASCII, except white space (as Python's `str.split` sees it), so it works on UTF-8 bytes.
enum MTEvalWords {
  /// The words of a text.
  static func split(_ text: String) -> [[UInt8]] {
    var bytes = PythonSpace.trimmingEnd(Array(text.utf8))
    bytes = replacing("<skipped>", with: "", in: bytes)
    bytes = replacing("-\n", with: "", in: bytes)
    bytes = replacing("\n", with: " ", in: bytes)
    if bytes.contains(UInt8(ascii: "&")) {
      bytes = replacing("&quot;", with: "\"", in: bytes)
      bytes = replacing("&amp;", with: "&", in: bytes)
      bytes = replacing("&lt;", with: "<", in: bytes)
      bytes = replacing("&gt;", with: ">", in: bytes)
    }
    bytes = separatingSymbols([space] + bytes + [space])
    bytes = separatingPairs(bytes, { !isDigit($0) }, isStop) { [$0, space, $1, space] }
    bytes = separatingPairs(bytes, isStop, { !isDigit($0) }) { [space, $0, space, $1] }
    bytes = separatingPairs(bytes, isDigit, { $0 == UInt8(ascii: "-") }) { [$0, space, $1, space] }
    return PythonSpace.split(bytes)
  }

  private static let space = UInt8(ascii: " ")

  private static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }

  private static func isStop(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ".") || byte == UInt8(ascii: ",")
  }

  /// Replaces from left to right, without looking at what was put in.
  private static func replacing(_ pattern: StaticString, with replacement: StaticString, in bytes: [UInt8]) -> [UInt8] {
    let pattern = UnsafeBufferPointer(start: pattern.utf8Start, count: pattern.utf8CodeUnitCount)
    let replacement = UnsafeBufferPointer(start: replacement.utf8Start, count: replacement.utf8CodeUnitCount)
    guard bytes.count >= pattern.count, bytes.contains(pattern[0]) else { return bytes }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var position = 0
    while position < bytes.count {
      if bytes[position] == pattern[0], bytes[position...].starts(with: pattern) {
        result.append(contentsOf: replacement)
        position += pattern.count
      } else {
        result.append(bytes[position])
        position += 1
      }
    }
    return result
  }

  /// Puts spaces around ASCII symbols other than the apostrophe, comma, hyphen and full stop.
  private static func separatingSymbols(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      switch byte {
      case 0x20...0x26, 0x28...0x2B, 0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E:
        result.append(contentsOf: [space, byte, space])
      default:
        result.append(byte)
      }
    }
    return result
  }

  /// Rewrites pairs of neighbours from left to right; a byte belongs to one pair only.
  private static func separatingPairs(
    _ bytes: [UInt8], _ first: (UInt8) -> Bool, _ second: (UInt8) -> Bool, _ rewrite: (UInt8, UInt8) -> [UInt8]
  ) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + 16)
    var position = 0
    while position < bytes.count {
      if position + 1 < bytes.count, first(bytes[position]), second(bytes[position + 1]) {
        result.append(contentsOf: rewrite(bytes[position], bytes[position + 1]))
        position += 2
      } else {
        result.append(bytes[position])
        position += 1
      }
    }
    return result
  }
}
