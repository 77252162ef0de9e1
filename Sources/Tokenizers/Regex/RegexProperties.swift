/// The sets that a pattern names: `\p{L}`, `\s`, scripts, and scalars that are equal where case does not count.
enum RegexProperties {
  private static let categoryNames = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
    "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]

  /// Long names, in the spelling without case, spaces, hyphens and underscores.
  private static let longNames = [
    "letter": "L", "mark": "M", "number": "N", "punctuation": "P", "symbol": "S", "separator": "Z", "other": "C",
    "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt", "modifierletter": "Lm",
    "otherletter": "Lo", "nonspacingmark": "Mn", "spacingmark": "Mc", "enclosingmark": "Me", "decimalnumber": "Nd",
    "letternumber": "Nl", "othernumber": "No", "spaceseparator": "Zs", "control": "Cc", "format": "Cf",
  ]

  private static let scripts: [String: [UInt32]] = [
    "latin": UnicodeScriptRanges.latin, "greek": UnicodeScriptRanges.greek, "cyrillic": UnicodeScriptRanges.cyrillic,
    "armenian": UnicodeScriptRanges.armenian, "hebrew": UnicodeScriptRanges.hebrew,
    "arabic": UnicodeScriptRanges.arabic, "devanagari": UnicodeScriptRanges.devanagari,
    "bengali": UnicodeScriptRanges.bengali, "tamil": UnicodeScriptRanges.tamil, "telugu": UnicodeScriptRanges.telugu,
    "thai": UnicodeScriptRanges.thai, "lao": UnicodeScriptRanges.lao, "tibetan": UnicodeScriptRanges.tibetan,
    "georgian": UnicodeScriptRanges.georgian, "hangul": UnicodeScriptRanges.hangul,
    "ethiopic": UnicodeScriptRanges.ethiopic, "khmer": UnicodeScriptRanges.khmer,
    "mongolian": UnicodeScriptRanges.mongolian, "hiragana": UnicodeScriptRanges.hiragana,
    "katakana": UnicodeScriptRanges.katakana, "bopomofo": UnicodeScriptRanges.bopomofo,
    "han": UnicodeScriptRanges.han,
  ]

  /// The scalars of each general category.
  private static let categories: [ScalarSet] = {
    var ranges = [[Range<UInt32>]](repeating: [], count: categoryNames.count)
    let starts = UnicodeCategoryRanges.starts
    for (index, entry) in starts.enumerated() {
      let end = index + 1 < starts.count ? starts[index + 1] >> 8 : 0x110000
      ranges[Int(entry & 0xFF)].append(entry >> 8..<end)
    }
    // The run before the surrogates reaches over them.
    return ranges.map { ScalarSet($0).inverted.inverted }
  }()

  static let whiteSpace = ScalarSet(bounds: [
    0x9, 0xE, 0x20, 0x21, 0x85, 0x86, 0xA0, 0xA1, 0x1680, 0x1681, 0x2000, 0x200B, 0x2028, 0x202A, 0x202F, 0x2030,
    0x205F, 0x2060, 0x3000, 0x3001,
  ])
  static let letters = category("L")
  static let numbers = category("N")
  /// `\w`: letters, marks, decimal digits and connectors.
  static let word = ["L", "M", "Nd", "Pc"].map { category($0) }.reduce(ScalarSet.empty) { $0.union($1) }
  static let digits = category("Nd")
  static let hexadecimal = ScalarSet(bounds: [0x30, 0x3A, 0x41, 0x47, 0x61, 0x67])
  static let newline = ScalarSet([UInt32(0x0A)])

  /// The union of the categories whose names begin so.
  private static func category(_ prefix: String) -> ScalarSet {
    ScalarSet(
      categoryNames.indices.filter { categoryNames[$0].hasPrefix(prefix) }.flatMap { categories[$0].ranges })
  }

  /// The set of a `\p{name}`, or nil for a name that is not known.
  ///
  /// As in the reference, case, spaces, hyphens and underscores in the name do not count.
  static func named(_ name: String) -> ScalarSet? {
    let plain = String(name.lowercased().filter { $0 != " " && $0 != "_" && $0 != "-" })
    if plain == "any" { return .every }
    if let long = longNames[plain] { return category(long) }
    if plain.count <= 2, let first = plain.first {
      let spelled = first.uppercased() + plain.dropFirst()
      let known = plain.count == 1 ? "LMNPSZC".contains(spelled) : categoryNames.contains(spelled)
      return known ? category(spelled) : nil
    }
    return scripts[plain].map { ScalarSet(bounds: $0) }
  }

  /// For a scalar, all that match it where case does not count.
  private static let folds: [UInt32: [UInt32]] = {
    var folds: [UInt32: [UInt32]] = [:]
    var position = 0
    let table = UnicodeFoldGroups.groups
    while position < table.count {
      let group = Array(table[position + 1...position + Int(table[position])])
      for scalar in group { folds[scalar] = group }
      position += group.count + 1
    }
    return folds
  }()

  static func ignoringCase(_ scalar: UInt32) -> ScalarSet {
    ScalarSet(folds[scalar] ?? [scalar])
  }

  /// Whether any scalar of a set matches others where case does not count.
  static func dependsOnCase(_ set: ScalarSet) -> Bool {
    folds.keys.contains(where: set.contains) || !manyFolds.intersection(set).isEmpty
  }

  /// Scalars that match two or three others where case does not count, such as ß.
  static let manyFolds = ScalarSet(bounds: [
    0xDF, 0xE0, 0x130, 0x131, 0x149, 0x14A, 0x1F0, 0x1F1, 0x390, 0x391, 0x3B0, 0x3B1, 0x587, 0x588, 0x1E96, 0x1E9B,
    0x1E9E, 0x1E9F, 0x1F50, 0x1F58, 0x1F80, 0x1FB0, 0x1FB2, 0x1FB5, 0x1FB6, 0x1FB8, 0x1FBC, 0x1FBD, 0x1FC2, 0x1FC5,
    0x1FC6, 0x1FC8, 0x1FCC, 0x1FCD, 0x1FD2, 0x1FD4, 0x1FD6, 0x1FD8, 0x1FE2, 0x1FE5, 0x1FE6, 0x1FE8, 0x1FF2, 0x1FF5,
    0x1FF6, 0x1FF8, 0x1FFC, 0x1FFD, 0xFB00, 0xFB07, 0xFB13, 0xFB18,
  ])

  /// Pairs of ASCII letters that one scalar matches where case does not count: `ss` is ß, `fi` a ligature.
  static let manyFoldPairs: Set<[UInt32]> = Set(
    ["ss", "ff", "fi", "fl", "st"].map { $0.unicodeScalars.map(\.value) })
}
