/// The merges of a byte-pair model: for a pair of ids, its rank and the id that it becomes.
///
/// An open-addressing hash table of integers; looking a pair up is the inner loop of encoding.
struct MergeTable: Sendable {
  /// A merge: lower ranks come first.
  struct Merge {
    let rank: UInt32
    let id: Int32
  }

  private var keys: [UInt64]
  private var values: [UInt64]
  private let mask: Int

  /// No pair of ids (both are below 2^24) has this key.
  private static let vacant = UInt64.max

  /// An empty table for up to `count` merges.
  init(count: Int) {
    var slots = 16
    while slots < 2 * count { slots *= 2 }
    keys = [UInt64](repeating: Self.vacant, count: slots)
    values = [UInt64](repeating: 0, count: slots)
    mask = slots - 1
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func slot(_ key: UInt64) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
  }

  /// Adds a merge; one that is there already gets the new rank, as in the reference implementation.
  mutating func insert(_ left: Int32, _ right: Int32, rank: UInt32, id: Int32) {
    let key = Self.key(left, right)
    var slot = slot(key)
    while keys[slot] != Self.vacant && keys[slot] != key { slot = (slot + 1) & mask }
    keys[slot] = key
    values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: id))
  }

  /// The merge of a pair, or nil where there is none.
  @inline(__always)
  subscript(left: Int32, right: Int32) -> Merge? {
    let key = Self.key(left, right)
    var slot = slot(key)
    while true {
      let found = keys[slot]
      if found == key {
        let value = values[slot]
        return Merge(rank: UInt32(value >> 32), id: Int32(bitPattern: UInt32(truncatingIfNeeded: value)))
      }
      if found == Self.vacant { return nil }
      slot = (slot + 1) & mask
    }
  }

  /// The pairs that merge, in no order.
  var pairs: [(left: Int32, right: Int32)] {
    keys.filter { $0 != Self.vacant }.map {
      (Int32(truncatingIfNeeded: $0 >> 32), Int32(truncatingIfNeeded: $0 & 0xFFFF_FFFF))
    }
  }
}
