/// The character map of a SentencePiece model: what becomes of short sequences of characters.
///
/// The map is a double-array trie (Darts) over bytes whose values are places in a text of replacements, each ended by a
/// zero byte. As in the reference implementation, a grapheme cluster of fewer than six bytes is looked up as a whole,
/// where the shortest key it starts with counts for all of it; else its scalars are looked up one by one.
struct PrecompiledCharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]
  /// For each ASCII character, whether it is a key.
  private let asciiKeys: [Bool]

  private static let longestCluster = 5

  /// Reads a map: the size of the trie in bytes as a little-endian 32-bit number, the trie, the replacements.
  ///
  /// Nil where the data is broken.
  init?(_ data: [UInt8]) {
    func word(_ offset: Int) -> UInt32 {
      UInt32(data[offset]) | UInt32(data[offset + 1]) << 8 | UInt32(data[offset + 2]) << 16
        | UInt32(data[offset + 3]) << 24
    }
    guard data.count >= 4, case let size = Int(word(0)), size >= 4, size % 4 == 0, 4 + size <= data.count else {
      return nil
    }
    let units = stride(from: 4, to: 4 + size, by: 4).map(word)
    let replacements = Array(data[(4 + size)...])
    guard String(validating: replacements, as: UTF8.self) != nil else { return nil }
    self.units = units
    self.replacements = replacements
    asciiKeys = (0..<128).map { byte in
      var key = [UInt8(byte)]
      return key.withUnsafeMutableBufferPointer { Self.find(UnsafeBufferPointer($0), 0..<1, units) != nil }
    }
  }

  /// The value of the shortest key that a range of bytes starts with.
  private static func find(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ units: [UInt32]) -> Int? {
    func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 1 << 9) >> 6) }
    var node = offset(units[0])
    for byte in bytes[range] {
      if byte == 0 { return nil }
      node ^= Int(byte)
      guard node < units.count, units[node] & (1 << 31 | 0xFF) == UInt32(byte) else { return nil }
      let unit = units[node]
      node ^= offset(unit)
      if unit >> 8 & 1 == 1 { return node < units.count ? Int(units[node] & 0x7FFF_FFFF) : nil }
    }
    return nil
  }

  /// The replacement of a range of bytes, or nil where no key fits.
  private func replacement(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> ArraySlice<UInt8>? {
    guard let start = Self.find(bytes, range, units), start <= replacements.count else { return nil }
    let end = replacements[start...].firstIndex(of: 0) ?? replacements.count
    return replacements[start..<end]
  }

  /// The mapped text, or nil where nothing changes.
  func apply(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    if text.allSatisfy({ $0 < 0x80 && !asciiKeys[Int($0)] }) { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 8)
    var position = 0
    while position < text.count {
      let isPlain = text[position] < 0x80 && !asciiKeys[Int(text[position])]
      if isPlain && (position + 1 == text.count || text[position + 1] < 0x80) {
        result.append(text[position])
        position += 1
        continue
      }
      let end = GraphemeClusters.end(in: text, from: position)
      if end - position <= Self.longestCluster, let mapped = replacement(text, position..<end) {
        result.append(contentsOf: mapped)
        position = end
        continue
      }
      while position < end {
        let next = position + UTF8Scalars.element(in: text, at: position).length
        if let mapped = replacement(text, position..<next) {
          result.append(contentsOf: mapped)
        } else {
          result.append(contentsOf: text[position..<next])
        }
        position = next
      }
    }
    return result
  }
}

/// Grapheme clusters (Unicode Standard Annex 29), as far as the length of short ones goes.
///
/// Sequences of regional indicators, Hangul letters, emoji with joiners and Indic conjuncts are left out: they are six
/// bytes and more, and their parts are looked up one by one whether they hang together or not.
enum GraphemeClusters {
  /// Where the cluster that starts at a place inside the text ends.
  static func end(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    var element = UTF8Scalars.element(in: text, at: start)
    var position = start + element.length
    guard var scalar = element.scalar else { return position }
    if scalar == 0x0D { return position < text.count && text[position] == 0x0A ? position + 1 : position }
    func isControl(_ scalar: UInt32) -> Bool { controls.contains(scalar) }
    while prepended.contains(scalar) && position < text.count {
      element = UTF8Scalars.element(in: text, at: position)
      guard let next = element.scalar, !isControl(next) else { return position }
      scalar = next
      position += element.length
    }
    if isControl(scalar) { return position }
    while position < text.count {
      element = UTF8Scalars.element(in: text, at: position)
      guard let next = element.scalar, UnicodeClasses.shared.isJoiner(next) else { break }
      position += element.length
    }
    return position
  }

  /// `Prepend`: marks that join the cluster behind them.
  private static let prepended = ScalarBitmap(
    ScalarSet(bounds: [
      0x600, 0x606, 0x6DD, 0x6DE, 0x70F, 0x710, 0x890, 0x892, 0x8E2, 0x8E3, 0xD4E, 0xD4F, 0x110BD, 0x110BE, 0x110CD,
      0x110CE, 0x111C2, 0x111C4, 0x1193F, 0x11940, 0x11941, 0x11942, 0x11A3A, 0x11A3B, 0x11A84, 0x11A8A, 0x11D46,
      0x11D47, 0x11F02, 0x11F03,
    ]))

  /// Controls, format characters and line separators, which stand alone.
  private static let controls: ScalarBitmap = {
    let named = ["Cc", "Cf", "Zl", "Zp"].compactMap(RegexProperties.named).reduce(ScalarSet.empty) { $0.union($1) }
    let others = ScalarSet(bounds: [
      0x200C, 0x200E, 0x600, 0x606, 0x6DD, 0x6DE, 0x70F, 0x710, 0x890, 0x892, 0x8E2,
      0x8E3, 0x110BD, 0x110BE, 0x110CD, 0x110CE,
    ])
    let joiners = ScalarSet(bounds: UnicodeClassRanges.joiners)
    return ScalarBitmap(named.intersection(others.union(joiners).inverted))
  }()
}
