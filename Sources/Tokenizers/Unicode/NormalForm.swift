/// The Unicode normal forms, by the tables of the reference implementation.
///
/// The standard library's and Foundation's forms follow newer Unicode versions than the reference, and differ from it
/// for characters that were added since. The algorithms are those of Unicode Standard Annex 15; Hangul syllables are
/// computed, as in section 3.12 of the Standard.
struct NormalForm: Sendable {
  static let nfd = NormalForm(compatible: false, composed: false)
  static let nfc = NormalForm(compatible: false, composed: true)
  static let nfkd = NormalForm(compatible: true, composed: false)
  static let nfkc = NormalForm(compatible: true, composed: true)

  let compatible: Bool
  let composed: Bool

  private static let canonical = ScalarMappings(UnicodeDecompositions.canonical)
  private static let compatibility = ScalarMappings(UnicodeDecompositions.compatible)
  private static let classes = ScalarMap(
    UnicodeDecompositions.combiningClasses.map { ($0 & 0xFF_FFFF, $0 >> 24) })
  private static let compositions: [UInt64: UInt32] = {
    let table = UnicodeDecompositions.compositions
    var result: [UInt64: UInt32] = [:]
    for place in stride(from: 0, to: table.count, by: 3) {
      result[key(table[place], table[place + 1])] = table[place + 2]
    }
    return result
  }()
  /// Not 0 for scalars that composing may change or take up: texts without them are left alone.
  private static let unstable: ScalarMap = {
    let table = UnicodeDecompositions.compositions
    let seconds = Set(stride(from: 1, to: table.count, by: 3).map { table[$0] })
    let primary = Set(stride(from: 2, to: table.count, by: 3).map { table[$0] })
    let marks = UnicodeDecompositions.combiningClasses.map { $0 & 0xFF_FFFF }
    let excluded = decomposed.filter { !primary.contains($0) }
    let jamo = Array(UInt32(0x1161)...0x1175) + Array(UInt32(0x11A8)...0x11C2)
    return ScalarMap((Array(seconds) + marks + excluded + jamo).map { ($0, 1) })
  }()
  private static let decomposed: [UInt32] = {
    var scalars: [UInt32] = []
    var position = 0
    while position < UnicodeDecompositions.canonical.count {
      let entry = UnicodeDecompositions.canonical[position]
      scalars.append(entry & 0xFF_FFFF)
      position += 1 + Int(entry >> 24)
    }
    return scalars
  }()

  @inline(__always)
  private static func key(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

  private static func isHangul(_ scalar: UInt32) -> Bool { scalar >= 0xAC00 && scalar < 0xD7A4 }

  /// Whether a text is in this form already; false where that would take composing to find out.
  func holds(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var position = 0
    while position < bytes.count {
      if bytes[position] < 0x80 {
        position += 1
        continue
      }
      let element = UTF8Scalars.element(in: bytes, at: position)
      guard let scalar = element.scalar else { return false }
      position += element.length
      if composed {
        if Self.unstable[scalar] != 0 { return false }
      } else if Self.canonical.contains(scalar) || Self.classes[scalar] != 0 || Self.isHangul(scalar) {
        return false
      }
      if compatible && Self.compatibility.contains(scalar) { return false }
    }
    return true
  }

  /// The form of scalars.
  func apply(_ scalars: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(scalars.count + 8)
    for scalar in scalars { decompose(scalar, into: &result) }
    Self.order(&result)
    return composed ? Self.compose(result) : result
  }

  /// Appends the decomposition of a scalar; marks are not put in order yet.
  @inline(__always)
  func decompose(_ scalar: UInt32, into result: inout [UInt32]) {
    if scalar < 0xA0 {
      result.append(scalar)
    } else if Self.isHangul(scalar) {
      let index = scalar - 0xAC00
      result.append(0x1100 + index / 588)
      result.append(0x1161 + index % 588 / 28)
      if index % 28 != 0 { result.append(0x11A7 + index % 28) }
    } else if compatible, let parts = Self.compatibility[scalar] {
      result.append(contentsOf: parts)
    } else if let parts = Self.canonical[scalar] {
      result.append(contentsOf: parts)
    } else {
      result.append(scalar)
    }
  }

  /// Puts each run of marks into the order of their combining classes.
  static func order(_ scalars: inout [UInt32]) {
    var index = 0
    while index < scalars.count {
      guard classes[scalars[index]] != 0 else {
        index += 1
        continue
      }
      let start = index
      while index < scalars.count && classes[scalars[index]] != 0 { index += 1 }
      if index - start > 1 {
        let sorted = scalars[start..<index].enumerated()
          .map { (rank: UInt64(classes[$1]) << 32 | UInt64($0), scalar: $1) }
          .sorted { $0.rank < $1.rank }
        for (offset, entry) in sorted.enumerated() { scalars[start + offset] = entry.scalar }
      }
    }
  }

  private static func compose(_ scalars: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(scalars.count)
    var starter: Int?
    var lastClass: UInt32 = 0
    for scalar in scalars {
      let rank = classes[scalar]
      // A mark is blocked by one of its own class, or a higher one, between it and the starter.
      if let place = starter, result.count == place + 1 || (lastClass < rank && lastClass != 0),
        let composite = composite(result[place], scalar)
      {
        result[place] = composite
        continue
      }
      result.append(scalar)
      lastClass = rank
      if rank == 0 { starter = result.count - 1 }
    }
    return result
  }

  private static func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if first >= 0x1100 && first < 0x1113 && second >= 0x1161 && second < 0x1176 {
      return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    if isHangul(first) && (first - 0xAC00) % 28 == 0 && second > 0x11A7 && second < 0x11C3 {
      return first + second - 0x11A7
    }
    return compositions[key(first, second)]
  }
}
