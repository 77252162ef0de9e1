import Foundation

/// The `normalizer` of `tokenizer.json`.
struct NormalizerFile {
  let file: JSONFile

  /// The normaliser of an object, or nil for null.
  ///
  /// Throws `TokenizerError.unsupported` for a type or a key that is not known.
  func read(_ object: JSONValue?, _ place: String) throws -> Normalizer? {
    guard let object, !object.isNull else { return nil }
    let type = try file.required(try file.string(object, "type", "\(place)."), "\(place).type")
    let inside = "\(place)."
    func keys(_ known: String...) throws { try file.checkKeys(object, inside, Set(known + ["type"])) }
    switch type {
    case "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel":
      try keys()
      return simple(type)
    case "Strip":
      try keys("strip_left", "strip_right")
      return .strip(
        left: try file.required(try file.bool(object, "strip_left", inside), "\(place).strip_left"),
        right: try file.required(try file.bool(object, "strip_right", inside), "\(place).strip_right"))
    case "Prepend":
      try keys("prepend")
      return .prepend(try file.required(try file.bytes(object, "prepend", inside), "\(place).prepend"))
    case "Replace":
      try keys("pattern", "content")
      return .replace(
        try PatternFile(file: file).read(object, inside),
        with: try file.required(try file.bytes(object, "content", inside), "\(place).content"))
    case "Precompiled":
      try keys("precompiled_charsmap")
      return .precompiled(try precompiled(object, place))
    case "BertNormalizer":
      try keys("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
      return .bert(try bert(object, place))
    case "Sequence":
      try keys("normalizers")
      let elements = try file.required(try file.array(object, "normalizers", inside), "\(place).normalizers")
      return .sequence(try elements.enumerated().compactMap { try read($1, "\(place).normalizers[\($0)]") })
    default:
      throw file.unsupported(place, "the normalizer \(type)")
    }
  }

  private func simple(_ type: String) -> Normalizer {
    switch type {
    case "NFC": .form(.nfc)
    case "NFD": .form(.nfd)
    case "NFKC": .form(.nfkc)
    case "NFKD": .form(.nfkd)
    case "Lowercase": .lowercase
    case "StripAccents": .stripAccents
    case "Nmt": .nmt
    default: .byteLevel
    }
  }

  private func precompiled(_ object: JSONValue, _ place: String) throws -> PrecompiledCharacterMap {
    let key = "\(place).precompiled_charsmap"
    let text = try file.required(try file.string(object, "precompiled_charsmap", "\(place)."), key)
    guard let data = Data(base64Encoded: text), let map = PrecompiledCharacterMap([UInt8](data)) else {
      throw file.invalid(key, "is not a character map in base 64")
    }
    return map
  }

  private func bert(_ object: JSONValue, _ place: String) throws -> BertNormalizer {
    func flag(_ key: String) throws -> Bool {
      try file.required(try file.bool(object, key, "\(place)."), "\(place).\(key)")
    }
    let lowercases = try flag("lowercase")
    return BertNormalizer(
      cleansText: try flag("clean_text"), separatesChinese: try flag("handle_chinese_chars"),
      stripsAccents: try file.bool(object, "strip_accents", "\(place).") ?? lowercases, lowercases: lowercases)
  }
}

/// The `pattern` of a Split or Replace.
struct PatternFile {
  let file: JSONFile

  /// Throws `TokenizerError.unsupported`, with the pattern, for a regular expression that the engine does not have.
  func read(_ object: JSONValue, _ place: String) throws -> TextPattern {
    let key = "\(place)pattern"
    let pattern = try file.required(object["pattern"], key)
    try file.checkKeys(pattern, "\(key).", ["String", "Regex"])
    if let text = try file.bytes(pattern, "String", "\(key).") {
      if text.isEmpty { throw file.unsupported("\(key).String", "an empty pattern") }
      return .literal(text)
    }
    let text = try file.required(try file.string(pattern, "Regex", "\(key)."), key)
    do {
      return try TextPattern(regex: text)
    } catch let error as RegexSyntaxError {
      let line = error.description.unicodeScalars.map { $0.value < 0x20 ? $0.escaped(asASCII: true) : String($0) }
      throw file.unsupported("\(key).Regex", line.joined())
    }
  }
}
