/// The classes of characters that splitting text depends on.
///
/// They come from a table made from the reference implementation, not from `Unicode.Scalar.Properties`: the standard
/// library's Unicode version belongs to the toolchain (on macOS to the system), and a letter that one version knows and
/// another does not gives other ids.
struct UnicodeClasses: Sendable {
  /// The class by which the pre-tokenizer groups characters.
  enum Group: UInt8 {
    case other = 0
    case letter = 1
    case number = 2
    case space = 3
  }

  /// The table that all tokenizers share, built when first used.
  static let shared = UnicodeClasses()

  private static let wordBit: UInt8 = 4

  /// One byte for each scalar: the group, and a bit for word characters.
  ///
  /// Everything from U+40000 on is unassigned, private use, or a variation selector or tag in plane 14; plane 14 is
  /// kept behind the first four planes, and the rest has class `other`.
  private let entries: [UInt8]

  private static let planes: UInt32 = 0x40000
  private static let plane14: Range<UInt32> = 0xE0000..<0xF0000

  private init() {
    var entries = [UInt8](repeating: 0, count: Int(Self.planes) + Self.plane14.count)
    func mark(_ bounds: [UInt32], _ bits: UInt8) {
      for first in stride(from: 0, to: bounds.count, by: 2) {
        for scalar in bounds[first]..<bounds[first + 1] {
          guard let index = Self.index(scalar) else { preconditionFailure("the class table covers too little") }
          entries[index] |= bits
        }
      }
    }
    mark(UnicodeClassRanges.letters, Group.letter.rawValue)
    mark(UnicodeClassRanges.numbers, Group.number.rawValue)
    mark(UnicodeClassRanges.words, Self.wordBit)
    mark([0x9, 0xE, 0x20, 0x21, 0x85, 0x86, 0xA0, 0xA1, 0x1680, 0x1681], Group.space.rawValue)
    mark([0x2000, 0x200B, 0x2028, 0x202A, 0x202F, 0x2030, 0x205F, 0x2060, 0x3000, 0x3001], Group.space.rawValue)
    self.entries = entries
  }

  @inline(__always)
  private static func index(_ scalar: UInt32) -> Int? {
    if scalar < planes { return Int(scalar) }
    return plane14.contains(scalar) ? Int(scalar - plane14.lowerBound + planes) : nil
  }

  /// The group of a scalar.
  @inline(__always)
  func group(_ scalar: UInt32) -> Group {
    guard let index = Self.index(scalar) else { return .other }
    return Group(rawValue: entries[index] & 3) ?? .other
  }

  /// Whether a scalar is a word character (`\w`): a letter, mark, decimal digit, connector or joiner.
  func isWord(_ scalar: UInt32) -> Bool {
    guard let index = Self.index(scalar) else { return false }
    return entries[index] & Self.wordBit != 0
  }
}
