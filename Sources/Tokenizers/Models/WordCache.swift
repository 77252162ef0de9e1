/// Words that were encoded before, and their ids: the words of a text follow Zipf's law, so most are found here.
///
/// An open-addressing hash table over two arenas. It grows as needed, and starts anew when it holds `wordLimit` words.
struct WordCache: Sendable {
  private struct Slot {
    var hash: UInt32 = 0
    var wordStart: UInt32 = 0
    var idStart: UInt32 = 0
    /// 0 in a vacant slot: no word is empty.
    var wordLength: UInt16 = 0
    var idCount: UInt16 = 0
  }

  /// Longer words are not kept.
  static let longestWord = 128
  private static let wordLimit = 1 << 16

  private var slots = [Slot](repeating: Slot(), count: 256)
  private var words: [UInt8] = []
  private var ids: [Int32] = []
  private var count = 0

  /// A hash of a word's bytes, eight at a time.
  @inline(__always)
  static func hash(_ word: UnsafeRawBufferPointer) -> UInt32 {
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: word.count)
    var position = 0
    while position + 8 <= word.count {
      hash = mix(hash, word.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      position += 8
    }
    var rest: UInt64 = 0
    while position < word.count {
      rest = rest << 8 | UInt64(word[position])
      position += 1
    }
    return UInt32(truncatingIfNeeded: mix(hash, rest) >> 32)
  }

  @inline(__always)
  private static func mix(_ hash: UInt64, _ value: UInt64) -> UInt64 {
    let product = (hash ^ value) &* 0xD6E8_FEB8_6659_FD93
    return product ^ product >> 29
  }

  /// Appends the ids of a word; false where the word is not known.
  @inline(__always)
  func append(_ word: UnsafeRawBufferPointer, hash: UInt32, to result: inout [Int32]) -> Bool {
    let mask = slots.count - 1
    var index = Int(hash) & mask
    while true {
      let slot = slots[index]
      if slot.wordLength == 0 { return false }
      if slot.hash == hash && Int(slot.wordLength) == word.count && matches(word, at: Int(slot.wordStart)) {
        let start = Int(slot.idStart)
        for place in start..<start + Int(slot.idCount) { result.append(ids[place]) }
        return true
      }
      index = (index + 1) & mask
    }
  }

  @inline(__always)
  private func matches(_ word: UnsafeRawBufferPointer, at start: Int) -> Bool {
    words.withUnsafeBytes { kept in
      for offset in 0..<word.count where kept[start + offset] != word[offset] { return false }
      return true
    }
  }

  /// Keeps a word that is not known yet.
  mutating func insert(_ word: UnsafeRawBufferPointer, hash: UInt32, ids wordIDs: ArraySlice<Int32>) {
    guard word.count <= Self.longestWord else { return }
    if count == Self.wordLimit {
      self = WordCache()
    } else if 2 * (count + 1) > slots.count {
      grow()
    }
    let slot = Slot(
      hash: hash, wordStart: UInt32(words.count), idStart: UInt32(ids.count), wordLength: UInt16(word.count),
      idCount: UInt16(wordIDs.count))
    words.append(contentsOf: word)
    ids.append(contentsOf: wordIDs)
    place(slot)
    count += 1
  }

  private mutating func place(_ slot: Slot) {
    let mask = slots.count - 1
    var index = Int(slot.hash) & mask
    while slots[index].wordLength != 0 { index = (index + 1) & mask }
    slots[index] = slot
  }

  private mutating func grow() {
    let kept = slots
    slots = [Slot](repeating: Slot(), count: 2 * kept.count)
    for slot in kept where slot.wordLength != 0 { place(slot) }
  }
}
