/// The parts of a byte-level byte-pair model: vocabulary, merges, and how a word's bytes become the first symbols.
struct BytePairModel: Sendable {
  var vocabulary: Vocabulary
  var merges: MergeTable
  /// The id of each byte's token, or -1 for a byte that the vocabulary lacks.
  var byteIDs: [Int32]
  /// Stands for bytes that the vocabulary lacks; without it they are left out, as in the reference implementation.
  var unknownID: Int32?
  /// Whether several unknown bytes in a row become one unknown token.
  var fusesUnknown = false
  /// Whether a word that is itself in the vocabulary is taken whole, without merging.
  var ignoresMerges = false

  /// A model of a vocabulary in the byte alphabet, without merges yet, for up to `mergeCount` of them.
  init(vocabulary: Vocabulary, mergeCount: Int) {
    self.vocabulary = vocabulary
    merges = MergeTable(count: mergeCount)
    byteIDs = (0..<256).map { vocabulary[ByteAlphabet.spell(CollectionOfOne(UInt8($0)))] ?? -1 }
  }

  /// The token among the two and their concatenation that the vocabulary lacks, or nil when the merge was added.
  mutating func addMerge(_ left: [UInt8], _ right: [UInt8], rank: Int) -> [UInt8]? {
    guard let leftID = vocabulary[left] else { return left }
    guard let rightID = vocabulary[right] else { return right }
    guard let id = vocabulary[left + right] else { return left + right }
    merges.insert(leftID, rightID, rank: UInt32(rank), id: id)
    return nil
  }

  /// Encodes one word (its own bytes, not spelled in the byte alphabet) into `symbols`, which is overwritten.
  func encode(_ word: UnsafeRawBufferPointer, into symbols: inout [Int32], with merger: inout PairMerger) {
    symbols.removeAll(keepingCapacity: true)
    if ignoresMerges, let id = vocabulary[ByteAlphabet.spell(word)] {
      symbols.append(id)
      return
    }
    var unknown = false
    for byte in word {
      let id = byteIDs[Int(byte)]
      if id >= 0 {
        if unknown, let unknownID { symbols.append(unknownID) }
        unknown = false
        symbols.append(id)
      } else {
        if unknown, !fusesUnknown, let unknownID { symbols.append(unknownID) }
        unknown = true
      }
    }
    if unknown, let unknownID { symbols.append(unknownID) }
    merger.merge(&symbols, with: merges)
  }
}
