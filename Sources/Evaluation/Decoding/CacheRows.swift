/// Hands out consecutive rows of a key/value cache and takes them back.
struct CacheRows {
  private var free: [Range<Int>]

  init(_ rows: Range<Int>) { free = rows.isEmpty ? [] : [rows] }

  /// The first gap that is large enough, or nil if there is none.
  mutating func take(_ count: Int) -> Range<Int>? {
    guard let place = free.firstIndex(where: { $0.count >= count }) else { return nil }
    let rows = free[place].lowerBound..<free[place].lowerBound + count
    if rows.upperBound == free[place].upperBound {
      free.remove(at: place)
    } else {
      free[place] = rows.upperBound..<free[place].upperBound
    }
    return rows
  }

  /// Gives rows back, joined to the gaps beside them.
  mutating func give(_ rows: Range<Int>) {
    guard !rows.isEmpty else { return }
    var place = free.firstIndex { $0.lowerBound > rows.lowerBound } ?? free.endIndex
    free.insert(rows, at: place)
    if place + 1 < free.endIndex, free[place].upperBound == free[place + 1].lowerBound {
      free[place] = free[place].lowerBound..<free.remove(at: place + 1).upperBound
    }
    if place > 0, free[place - 1].upperBound == free[place].lowerBound {
      place -= 1
      free[place] = free[place].lowerBound..<free.remove(at: place + 1).upperBound
    }
  }
}
