/// The classes of characters that splitting text depends on.
///
/// They come from tables made from the reference implementation, not from `Unicode.Scalar.Properties`: the standard
/// library's Unicode version belongs to the toolchain (on macOS to the system), and a letter that one version knows and
/// another does not gives other ids. The reference itself takes them from several libraries, so that the punctuation of
/// one component is not that of another.
struct UnicodeClasses: Sendable {
  /// The class by which the GPT-2 pattern groups characters.
  enum Group: UInt8 {
    case other = 0
    case letter = 1
    case number = 2
    case space = 3
  }

  /// The table that all tokenizers share, built when first used.
  static let shared = UnicodeClasses()

  private static let wordBit: UInt16 = 1 << 2
  private static let digitBit: UInt16 = 1 << 3
  private static let punctuationBit: UInt16 = 1 << 4
  private static let removedBit: UInt16 = 1 << 5
  private static let chineseBit: UInt16 = 1 << 6
  private static let nonspacingBit: UInt16 = 1 << 7
  private static let combiningBit: UInt16 = 1 << 8
  private static let joinerBit: UInt16 = 1 << 9

  /// For each scalar the group, and a bit for each class, in pages of 256 scalars that are shared where they are equal.
  private let pages: [UInt16]
  private let entries: [UInt16]

  private init() {
    var flat = [UInt16](repeating: 0, count: 0x110000)
    func mark(_ set: ScalarSet, _ bits: UInt16) {
      for range in set.ranges {
        for scalar in range { flat[Int(scalar)] |= bits }
      }
    }
    mark(RegexProperties.letters, UInt16(Group.letter.rawValue))
    mark(RegexProperties.numbers, UInt16(Group.number.rawValue))
    mark(RegexProperties.whiteSpace, UInt16(Group.space.rawValue))
    for (bounds, bit) in [
      (UnicodeClassRanges.words, Self.wordBit), (UnicodeClassRanges.digits, Self.digitBit),
      (UnicodeClassRanges.punctuation, Self.punctuationBit), (UnicodeClassRanges.removed, Self.removedBit),
      (UnicodeClassRanges.chinese, Self.chineseBit), (UnicodeClassRanges.nonspacingMarks, Self.nonspacingBit),
      (UnicodeClassRanges.combiningMarks, Self.combiningBit), (UnicodeClassRanges.joiners, Self.joinerBit),
    ] {
      mark(ScalarSet(bounds: bounds), bit)
    }
    var pages: [UInt16] = []
    var entries: [UInt16] = []
    var known: [ArraySlice<UInt16>: UInt16] = [:]
    for start in stride(from: 0, to: flat.count, by: 256) {
      let page = flat[start..<start + 256]
      let number = known[page] ?? UInt16(entries.count / 256)
      if known[page] == nil {
        known[page] = number
        entries += page
      }
      pages.append(number)
    }
    self.pages = pages
    self.entries = entries
  }

  @inline(__always)
  private func entry(_ scalar: UInt32) -> UInt16 {
    entries[Int(pages[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)]
  }

  /// The group of a scalar.
  @inline(__always)
  func group(_ scalar: UInt32) -> Group {
    Group(rawValue: UInt8(truncatingIfNeeded: entry(scalar) & 3)) ?? .other
  }

  @inline(__always)
  func isSpace(_ scalar: UInt32) -> Bool { group(scalar) == .space }

  /// Whether a scalar is a word character (`\w`): a letter, mark, decimal digit, connector or joiner.
  @inline(__always)
  func isWord(_ scalar: UInt32) -> Bool { entry(scalar) & Self.wordBit != 0 }

  /// Whether the Digits pre-tokenizer takes a scalar for a number.
  @inline(__always)
  func isDigit(_ scalar: UInt32) -> Bool { entry(scalar) & Self.digitBit != 0 }

  /// Whether the Bert and Punctuation pre-tokenizers take a scalar for punctuation.
  @inline(__always)
  func isPunctuation(_ scalar: UInt32) -> Bool { entry(scalar) & Self.punctuationBit != 0 }

  /// Whether the Bert normaliser cleans a scalar away.
  @inline(__always)
  func isRemoved(_ scalar: UInt32) -> Bool { entry(scalar) & Self.removedBit != 0 }

  /// Whether the Bert normaliser puts spaces around a scalar.
  @inline(__always)
  func isChinese(_ scalar: UInt32) -> Bool { entry(scalar) & Self.chineseBit != 0 }

  /// Whether the Bert normaliser strips a scalar as an accent.
  @inline(__always)
  func isNonspacingMark(_ scalar: UInt32) -> Bool { entry(scalar) & Self.nonspacingBit != 0 }

  /// Whether StripAccents removes a scalar.
  @inline(__always)
  func isCombiningMark(_ scalar: UInt32) -> Bool { entry(scalar) & Self.combiningBit != 0 }

  /// Whether a scalar joins the grapheme cluster in front of it.
  @inline(__always)
  func isJoiner(_ scalar: UInt32) -> Bool { entry(scalar) & Self.joinerBit != 0 }
}
