/// The words of a text, for lexical retrieval.
enum WordTokens {
  /// Runs of letters, marks and numbers as Unicode has them, lower-cased one by one; everything else separates.
  ///
  /// Words are compared as strings are, so composed and decomposed accents are the same.
  static func of(_ text: String) -> [String] {
    var words: [String] = []
    var word = String.UnicodeScalarView()
    var isASCII = true
    func end() {
      guard !word.isEmpty else { return }
      words.append(isASCII ? String(word) : word.map(\.properties.lowercaseMapping).joined())
      word = String.UnicodeScalarView()
      isASCII = true
    }
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x30...0x39, 0x61...0x7A: word.append(scalar)
      case 0x41...0x5A: word.append(UnicodeScalar(UInt8(scalar.value) + 0x20))
      case 0..<0x80: end()
      default:
        if belongsToWord(scalar) {
          word.append(scalar)
          isASCII = false
        } else {
          end()
        }
      }
    }
    end()
    return words
  }

  private static func belongsToWord(_ scalar: UnicodeScalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
      .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
      true
    default: false
    }
  }
}
