/// A number for each Unicode scalar, 0 for most: two table look-ups.
struct ScalarMap: Sendable {
  private var pages = [UInt16](repeating: 0, count: 0x1100)
  /// The first page is all zeros, for blocks without entries.
  private var values = [UInt32](repeating: 0, count: 256)

  init(_ entries: some Sequence<(scalar: UInt32, value: UInt32)>) {
    for entry in entries { self[entry.scalar] = entry.value }
  }

  @inline(__always)
  subscript(scalar: UInt32) -> UInt32 {
    get { values[Int(pages[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)] }
    set {
      let block = Int(scalar >> 8)
      if pages[block] == 0 {
        pages[block] = UInt16(values.count >> 8)
        values.append(contentsOf: repeatElement(0, count: 256))
      }
      values[Int(pages[block]) << 8 | Int(scalar & 0xFF)] = newValue
    }
  }
}

/// A short sequence of scalars for some scalars, from a flat table: each key with the length in the top byte, then the
/// sequence.
struct ScalarMappings: Sendable {
  private let places: ScalarMap
  private let table: [UInt32]

  init(_ table: [UInt32]) {
    self.table = table
    var entries: [(scalar: UInt32, value: UInt32)] = []
    var position = 0
    while position < table.count {
      entries.append((table[position] & 0xFF_FFFF, UInt32(position + 1)))
      position += 1 + Int(table[position] >> 24)
    }
    places = ScalarMap(entries)
  }

  /// What a scalar becomes, or nil where it stays itself.
  @inline(__always)
  subscript(scalar: UInt32) -> ArraySlice<UInt32>? {
    let place = Int(places[scalar])
    return place == 0 ? nil : table[place..<place + Int(table[place - 1] >> 24)]
  }

  func contains(_ scalar: UInt32) -> Bool { places[scalar] != 0 }
}
