/// The normaliser of a tokenizer: a change of text before it is split.
indirect enum Normalizer: Sendable {
  case form(NormalForm)
  case lowercase
  /// Takes white space off the ends.
  case strip(left: Bool, right: Bool)
  /// Removes combining marks; accents that are part of a character stay.
  case stripAccents
  case replace(TextPattern, with: [UInt8])
  /// Put in front of a text that is not empty.
  case prepend([UInt8])
  /// Removes control characters and makes spaces of unusual white space.
  case nmt
  case precompiled(PrecompiledCharacterMap)
  case bert(BertNormalizer)
  /// Spells bytes as printable characters.
  case byteLevel
  case sequence([Normalizer])

  private static let lowercaseMappings = ScalarMappings(UnicodeLowercase.mappings)

  /// The normalised text, or nil where nothing changes.
  ///
  /// `text` must be well-formed UTF-8.
  func apply(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    switch self {
    case .form(let form):
      return form.holds(text) ? nil : UTF8Scalars.encode(form.apply(UTF8Scalars.decode(text)))
    case .lowercase:
      return mapScalars(text) { scalar, result in Self.appendLowercase(scalar, to: &result) }
    case .strip(let left, let right):
      return strip(text, left, right)
    case .stripAccents:
      return mapScalars(text) { scalar, result in
        if !UnicodeClasses.shared.isCombiningMark(scalar) { UTF8Scalars.append(scalar, to: &result) }
      }
    case .replace(let pattern, let content):
      return replace(text, pattern, content)
    case .prepend(let prefix):
      return text.isEmpty ? nil : prefix + text
    case .nmt:
      return mapScalars(text, Self.appendNmt)
    case .precompiled(let map):
      return map.apply(text)
    case .bert(let normalizer):
      return normalizer.apply(text)
    case .byteLevel:
      return ByteAlphabet.spell(text)
    case .sequence(let normalizers):
      var changed: [UInt8]?
      for normalizer in normalizers {
        let next = changed.map { $0.withUnsafeBufferPointer { normalizer.apply($0) } } ?? normalizer.apply(text)
        if let next { changed = next }
      }
      return changed
    }
  }

  /// The normalised text.
  func apply(_ text: [UInt8]) -> [UInt8] {
    text.withUnsafeBufferPointer { apply($0) } ?? text
  }

  @inline(__always)
  private func mapScalars(
    _ text: UnsafeBufferPointer<UInt8>, _ append: (UInt32, inout [UInt8]) -> Void
  ) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 8)
    UTF8Scalars.forEach(text) { append($0, &result) }
    return result
  }

  @inline(__always)
  static func appendLowercase(_ scalar: UInt32, to result: inout [UInt8]) {
    if scalar < 0x80 {
      result.append(UInt8(scalar >= 0x41 && scalar <= 0x5A ? scalar | 0x20 : scalar))
    } else if let lower = lowercaseMappings[scalar] {
      for scalar in lower { UTF8Scalars.append(scalar, to: &result) }
    } else {
      UTF8Scalars.append(scalar, to: &result)
    }
  }

  private func strip(_ text: UnsafeBufferPointer<UInt8>, _ left: Bool, _ right: Bool) -> [UInt8]? {
    let spaces = TextEdges(bytes: text, range: 0..<text.count, classes: .shared)
    let start = left ? spaces.endOfSpace(startingAt: 0) : 0
    let end = right ? max(start, spaces.startOfSpace(endingAt: text.count)) : text.count
    return start == 0 && end == text.count ? nil : Array(text[start..<end])
  }

  private func replace(_ text: UnsafeBufferPointer<UInt8>, _ pattern: TextPattern, _ content: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var done = 0
    var found = false
    pattern.forEachMatch(in: text, 0..<text.count) { match in
      found = true
      result.append(contentsOf: text[done..<match.lowerBound])
      result.append(contentsOf: content)
      done = match.upperBound
    }
    guard found else { return nil }
    result.append(contentsOf: text[done...])
    return result
  }

  /// Nmt: rules of Google's neural machine translation, as SentencePiece has them.
  private static func appendNmt(_ scalar: UInt32, to result: inout [UInt8]) {
    switch scalar {
    case 0x1...0x8, 0xB, 0xE...0x1F, 0x7F, 0x8F, 0x9F: return
    case 0x9, 0xA, 0xC, 0xD, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: result.append(0x20)
    default: UTF8Scalars.append(scalar, to: &result)
    }
  }
}
