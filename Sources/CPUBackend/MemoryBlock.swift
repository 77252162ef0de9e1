/// Consecutive memory of the system, parts of which are in use.
///
/// Addresses are integers because pointers cannot cross threads.
struct MemoryBlock {
  let start: UInt
  /// Bytes.
  let capacity: Int
  /// What is not in use, by address; no two of them touch.
  private(set) var free: [Range<UInt>]

  /// A block of which nothing is in use.
  init(start: UInt, capacity: Int) {
    self.start = start
    self.capacity = capacity
    free = [start..<start + UInt(capacity)]
  }

  var isFree: Bool { free.first?.count == capacity }
  var freeBytes: Int { free.reduce(0) { $0 + $1.count } }

  /// The address of the first `size` bytes of a free piece, which are in use from now on.
  mutating func take(_ size: Int, fromPiece piece: Int) -> UInt {
    let range = free[piece]
    let end = range.lowerBound + UInt(size)
    if end == range.upperBound { free.remove(at: piece) } else { free[piece] = end..<range.upperBound }
    return range.lowerBound
  }

  /// Joins bytes that are no longer in use with their free neighbours.
  mutating func giveBack(_ address: UInt, _ size: Int) {
    var range = address..<address + UInt(size)
    var place = free.firstIndex { $0.lowerBound > address } ?? free.endIndex
    if place < free.endIndex, free[place].lowerBound == range.upperBound {
      range = range.lowerBound..<free[place].upperBound
      free.remove(at: place)
    }
    if place > 0, free[place - 1].upperBound == range.lowerBound {
      place -= 1
      range = free[place].lowerBound..<range.upperBound
      free.remove(at: place)
    }
    free.insert(range, at: place)
  }
}
