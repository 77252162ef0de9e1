/// WordPiece (Schuster and Nakajima 2012, as in BERT): from the left, the longest token that fits.
struct WordPieceModel: Sendable {
  let vocabulary: Vocabulary
  /// Stands for a word that has no pieces, as a whole.
  let unknownID: Int32
  /// Words of more scalars are unknown.
  let longestWord: Int
  private let trie: TokenTrie
  /// Where the tokens that continue a word start, behind their prefix; nil where there are none.
  private let continuation: UInt32?

  init(vocabulary: Vocabulary, unknownID: Int32, prefix: [UInt8], longestWord: Int) {
    self.vocabulary = vocabulary
    self.unknownID = unknownID
    self.longestWord = longestWord
    var trie = TokenTrie(capacity: vocabulary.count * 6)
    for id in 0..<Int32(vocabulary.idBound) {
      // Of equal tokens the one that the vocabulary finds.
      if let token = vocabulary[id], vocabulary[token] == id { trie.insert(token, id: id) }
    }
    var node: UInt32? = TokenTrie.root
    for byte in prefix { node = node.flatMap { trie.child(of: $0, byte) } }
    continuation = node
    self.trie = trie
  }

  /// Encodes one word of well-formed UTF-8 into `symbols`, which is overwritten.
  func encode(_ word: UnsafeRawBufferPointer, into symbols: inout [Int32]) {
    symbols.removeAll(keepingCapacity: true)
    if word.count > longestWord {
      var scalars = 0
      for byte in word where byte & 0xC0 != 0x80 { scalars += 1 }
      if scalars > longestWord { return symbols.append(unknownID) }
    }
    var start = 0
    var node: UInt32? = TokenTrie.root
    while start < word.count {
      var found: Int32 = -1
      var end = start
      var position = start
      while let here = node, position < word.count, let next = trie.child(of: here, word[position]) {
        node = next
        position += 1
        let id = trie.id(at: next)
        // A token may end inside a character only where its own bytes do, and tokens are whole characters.
        if id >= 0 {
          found = id
          end = position
        }
      }
      if found < 0 {
        symbols.removeAll(keepingCapacity: true)
        return symbols.append(unknownID)
      }
      symbols.append(found)
      start = end
      node = continuation
    }
  }
}
