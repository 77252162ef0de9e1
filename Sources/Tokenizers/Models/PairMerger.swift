import Collections

/// Byte-pair encoding of one word: of all pairs of neighbours the one with the lowest rank is merged, the leftmost
/// first, until no pair is left that can be.
struct PairMerger {
  /// Words up to this many symbols are merged by scanning for the lowest rank, which beats a heap there.
  private static let scanLimit = 48
  private static let noRank = UInt32.max

  private var ranks: [UInt32] = []
  private var merged: [Int32] = []

  /// Merges `symbols` in place.
  mutating func merge(_ symbols: inout [Int32], with table: MergeTable) {
    if symbols.count <= Self.scanLimit {
      mergeByScanning(&symbols, with: table)
    } else {
      mergeWithHeap(&symbols, with: table)
    }
  }

  /// `ranks[i]` is the rank of the pair (i, i + 1), `merged[i]` what it becomes.
  private mutating func mergeByScanning(_ symbols: inout [Int32], with table: MergeTable) {
    guard symbols.count > 1 else { return }
    ranks.removeAll(keepingCapacity: true)
    merged.removeAll(keepingCapacity: true)
    for index in 1..<symbols.count {
      let merge = table[symbols[index - 1], symbols[index]]
      ranks.append(merge?.rank ?? Self.noRank)
      merged.append(merge?.id ?? 0)
    }
    while true {
      var best = Self.noRank
      var place = 0
      for index in ranks.indices where ranks[index] < best {
        best = ranks[index]
        place = index
      }
      if best == Self.noRank { return }
      symbols[place] = merged[place]
      symbols.remove(at: place + 1)
      ranks.remove(at: place)
      merged.remove(at: place)
      if place < ranks.count { look(at: place, symbols, table) }
      if place > 0 { look(at: place - 1, symbols, table) }
    }
  }

  private mutating func look(at index: Int, _ symbols: [Int32], _ table: MergeTable) {
    let merge = table[symbols[index], symbols[index + 1]]
    ranks[index] = merge?.rank ?? Self.noRank
    merged[index] = merge?.id ?? 0
  }

  /// The same in n log n steps, for long words: the symbols form a linked list, and the heap holds (rank, place).
  ///
  /// An entry of the heap is out of date when the pair at its place has another rank by now; it is passed over.
  private func mergeWithHeap(_ symbols: inout [Int32], with table: MergeTable) {
    let count = symbols.count
    precondition(count < Int(UInt32.max), "a word of more than 2^32 symbols")
    // The neighbours of each symbol; `count` is "none". A symbol merged into the one before it gets the id -1.
    var next = Array(1...count)
    var previous = Array(-1..<count - 1)
    var candidates: [UInt64] = []
    for index in 1..<count {
      if let merge = table[symbols[index - 1], symbols[index]] {
        candidates.append(UInt64(merge.rank) << 32 | UInt64(index - 1))
      }
    }
    var heap = Heap(candidates)
    while let entry = heap.popMin() {
      let place = Int(entry & 0xFFFF_FFFF)
      let right = next[place]
      guard symbols[place] >= 0, right < count, let merge = table[symbols[place], symbols[right]],
        merge.rank == UInt32(entry >> 32)
      else { continue }
      symbols[place] = merge.id
      symbols[right] = -1
      let after = next[right]
      next[place] = after
      if after < count {
        previous[after] = place
        if let merge = table[merge.id, symbols[after]] { heap.insert(UInt64(merge.rank) << 32 | UInt64(place)) }
      }
      let before = previous[place]
      if before >= 0, let merge = table[symbols[before], merge.id] {
        heap.insert(UInt64(merge.rank) << 32 | UInt64(before))
      }
    }
    symbols.removeAll { $0 < 0 }
  }
}
