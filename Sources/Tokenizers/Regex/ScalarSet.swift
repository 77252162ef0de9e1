/// A set of Unicode scalar values, as sorted ranges that do not touch.
struct ScalarSet: Equatable, Sendable {
  private(set) var ranges: [Range<UInt32>]

  static let every = ScalarSet(bounds: [0, 0xD800, 0xE000, 0x110000])
  static let empty = ScalarSet(bounds: [])

  /// The union of ranges in any order.
  init(_ ranges: [Range<UInt32>]) {
    self.ranges = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound {
        self.ranges[self.ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  init(_ scalars: some Sequence<UInt32>) {
    self.init(scalars.map { $0..<$0 + 1 })
  }

  /// Bounds of ranges, as the tables hold them: the first scalar and the one after the last.
  init(bounds: [UInt32]) {
    self.init(stride(from: 0, to: bounds.count, by: 2).map { bounds[$0]..<bounds[$0 + 1] })
  }

  var isEmpty: Bool { ranges.isEmpty }

  /// The only scalar of a set of one.
  var single: UInt32? {
    ranges.count == 1 && ranges[0].count == 1 ? ranges[0].lowerBound : nil
  }

  /// All scalars but these.
  var inverted: ScalarSet {
    var result: [Range<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      result.append(next..<range.lowerBound)
      next = range.upperBound
    }
    result.append(next..<0x110000)
    return ScalarSet(result).withoutSurrogates
  }

  private var withoutSurrogates: ScalarSet {
    ScalarSet(
      ranges.flatMap { range in
        [
          range.clamped(to: 0..<0xD800), range.clamped(to: 0xE000..<0x110000),
        ]
      })
  }

  func union(_ other: ScalarSet) -> ScalarSet {
    ScalarSet(ranges + other.ranges)
  }

  func intersection(_ other: ScalarSet) -> ScalarSet {
    inverted.union(other.inverted).inverted
  }

  func contains(_ scalar: UInt32) -> Bool {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound <= scalar { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].lowerBound <= scalar
  }
}

/// A scalar set that answers in constant time: a bit for each scalar, in pages that are shared where they are equal.
struct ScalarBitmap: Sendable {
  /// Bits of the first 128 scalars.
  private let ascii: (UInt64, UInt64)
  /// For each block of 256 scalars, the number of its page.
  private let pages: [UInt16]
  /// Four words for each page.
  private let words: [UInt64]

  init(_ set: ScalarSet) {
    var pages: [UInt16] = []
    var words: [UInt64] = []
    var known: [[UInt64]: UInt16] = [:]
    pages.reserveCapacity(0x1100)
    var index = 0
    for block in UInt32(0)..<0x1100 {
      var page: [UInt64] = [0, 0, 0, 0]
      let bounds = block << 8..<(block + 1) << 8
      while index < set.ranges.count && set.ranges[index].upperBound <= bounds.lowerBound { index += 1 }
      var place = index
      while place < set.ranges.count && set.ranges[place].lowerBound < bounds.upperBound {
        for scalar in set.ranges[place].clamped(to: bounds) {
          page[Int(scalar >> 6 & 3)] |= 1 << UInt64(scalar & 63)
        }
        place += 1
      }
      if let number = known[page] {
        pages.append(number)
      } else {
        let number = UInt16(words.count / 4)
        known[page] = number
        words += page
        pages.append(number)
      }
    }
    self.pages = pages
    self.words = words
    let first = Int(pages[0]) * 4
    ascii = (words[first], words[first + 1])
  }

  @inline(__always)
  func contains(ascii byte: UInt8) -> Bool {
    let word = byte < 64 ? ascii.0 : ascii.1
    return word >> UInt64(byte & 63) & 1 != 0
  }

  @inline(__always)
  func contains(_ scalar: UInt32) -> Bool {
    if scalar < 0x80 { return contains(ascii: UInt8(truncatingIfNeeded: scalar)) }
    let page = Int(pages[Int(scalar >> 8)])
    return words[page * 4 + Int(scalar >> 6 & 3)] >> UInt64(scalar & 63) & 1 != 0
  }
}
