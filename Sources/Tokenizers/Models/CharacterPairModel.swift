/// A byte-pair model whose first symbols are characters, as in Llama 2: unknown ones may be spelled in bytes.
struct CharacterPairModel: Sendable {
  var vocabulary: Vocabulary
  var merges: MergeTable
  /// Stands for characters that the vocabulary lacks; without it they are left out, as in the reference.
  var unknownID: Int32?
  var fusesUnknown = false
  /// Whether a piece that is itself in the vocabulary is taken whole, without merging.
  var ignoresMerges = false
  /// The ids of `<0x00>` to `<0xFF>`, or empty where unknown characters are not spelled in bytes.
  var byteIDs: [Int32] = []
  /// One more than the id of each character's token, 0 for a character that the vocabulary lacks.
  private let characters: ScalarMap
  /// A character that no merge has behind another one, so that a text can be cut in front of it; nil for none.
  private(set) var boundary: UInt32?

  init(_ model: BytePairModel, byteFallback: Bool) {
    vocabulary = model.vocabulary
    merges = model.merges
    unknownID = model.unknownID
    fusesUnknown = model.fusesUnknown
    ignoresMerges = model.ignoresMerges
    var entries: [(scalar: UInt32, value: UInt32)] = []
    for id in 0..<Int32(vocabulary.idBound) {
      guard let token = vocabulary[id], !token.isEmpty, token.count <= 4 else { continue }
      token.withUnsafeBufferPointer { bytes in
        let element = UTF8Scalars.element(in: bytes, at: 0)
        if let scalar = element.scalar, element.length == bytes.count { entries.append((scalar, UInt32(id) + 1)) }
      }
    }
    characters = ScalarMap(entries)
    byteIDs = byteFallback ? ByteAlphabet.fallbackIDs(vocabulary) : []
    boundary = findBoundary(0x2581)
  }

  /// The scalar, if text can be cut in front of it wherever another character stands before: it is a token, and no
  /// merge joins something that does not end in it to something that starts with it.
  private func findBoundary(_ scalar: UInt32) -> UInt32? {
    guard characters[scalar] != 0, !ignoresMerges else { return nil }
    var mark: [UInt8] = []
    UTF8Scalars.append(scalar, to: &mark)
    for (left, right) in merges.pairs {
      guard let left = vocabulary[left], let right = vocabulary[right] else { return nil }
      if right.starts(with: mark) && !left.suffix(mark.count).elementsEqual(mark) { return nil }
    }
    return scalar
  }

  /// Encodes one piece of well-formed UTF-8 into `symbols`, which is overwritten.
  func encode(_ word: UnsafeRawBufferPointer, into symbols: inout [Int32], with merger: inout PairMerger) {
    symbols.removeAll(keepingCapacity: true)
    if ignoresMerges, let id = vocabulary[word] { return symbols.append(id) }
    var waitsForUnknown = false
    word.withMemoryRebound(to: UInt8.self) { bytes in
      var position = 0
      while position < bytes.count {
        let element = UTF8Scalars.element(in: bytes, at: position)
        let range = position..<position + element.length
        position = range.upperBound
        let value = characters[element.scalar ?? 0xFFFD]
        if value != 0 {
          if waitsForUnknown, let unknownID { symbols.append(unknownID) }
          waitsForUnknown = false
          symbols.append(Int32(value) - 1)
        } else if !byteIDs.isEmpty && bytes[range].allSatisfy({ byteIDs[Int($0)] >= 0 }) {
          // An unknown character in front still waits here, as in the reference.
          for byte in bytes[range] { symbols.append(byteIDs[Int(byte)]) }
        } else {
          if waitsForUnknown, !fusesUnknown, let unknownID { symbols.append(unknownID) }
          waitsForUnknown = true
        }
      }
    }
    if waitsForUnknown, let unknownID { symbols.append(unknownID) }
    merger.merge(&symbols, with: merges)
  }
}
