/// The unigram language model of SentencePiece (Kudo 2018): the split of a text with the greatest sum of scores.
struct UnigramModel: Sendable {
  let vocabulary: Vocabulary
  let unknownID: Int32
  /// The ids of `<0x00>` to `<0xFF>`, or empty where unknown characters are not spelled in bytes.
  private let byteIDs: [Int32]
  private let trie: TokenTrie
  private let scores: [Double]
  /// The score of a character that no token is.
  private let unknownScore: Double

  /// What an unknown character costs below the lowest score, as in SentencePiece.
  private static let unknownPenalty = 10.0

  /// Scores are indexed by id.
  init(vocabulary: Vocabulary, scores: [Double], unknownID: Int32, byteFallback: Bool) {
    self.vocabulary = vocabulary
    self.scores = scores
    self.unknownID = unknownID
    unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
    byteIDs = byteFallback ? ByteAlphabet.fallbackIDs(vocabulary) : []
    var trie = TokenTrie(capacity: vocabulary.count * 6)
    for id in 0..<Int32(vocabulary.idBound) {
      if let token = vocabulary[id], vocabulary[token] == id { trie.insert(token, id: id) }
    }
    self.trie = trie
  }

  /// What finding the best split works with.
  struct Scratch: Sendable {
    fileprivate var best: [Step] = []
  }

  /// The best way to a place in the text.
  fileprivate struct Step {
    var score = 0.0
    var start: Int32 = -1
    var id: Int32 = 0
  }

  /// Encodes one piece of well-formed UTF-8 into `symbols`, which is overwritten.
  func encode(_ word: UnsafeRawBufferPointer, into symbols: inout [Int32], with scratch: inout Scratch) {
    symbols.removeAll(keepingCapacity: true)
    scratch.best.removeAll(keepingCapacity: true)
    scratch.best.append(contentsOf: repeatElement(Step(), count: word.count + 1))
    scratch.best.withUnsafeMutableBufferPointer { findBest(word, $0) }
    // From the end to the start; neighbouring unknown pieces become one.
    var end = word.count
    var unknownEnd = -1
    while end > 0 {
      let step = scratch.best[end]
      if step.id == unknownID {
        if unknownEnd < 0 { unknownEnd = end }
      } else {
        if unknownEnd >= 0 { appendUnknown(word, end..<unknownEnd, to: &symbols) }
        unknownEnd = -1
        symbols.append(step.id)
      }
      end = Int(step.start)
    }
    if unknownEnd >= 0 { appendUnknown(word, 0..<unknownEnd, to: &symbols) }
    symbols.reverse()
  }

  @inline(__always)
  private func findBest(_ word: UnsafeRawBufferPointer, _ best: UnsafeMutableBufferPointer<Step>) {
    func offer(_ id: Int32, _ score: Double, from start: Int, to end: Int) {
      if best[end].start < 0 || score > best[end].score {
        best[end] = Step(score: score, start: Int32(truncatingIfNeeded: start), id: id)
      }
    }
    var start = 0
    while start < word.count {
      let first = word[start]
      let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
      let before = best[start].score
      var hasSingle = false
      var node = TokenTrie.root
      var position = start
      while position < word.count, let next = trie.child(of: node, word[position]) {
        node = next
        position += 1
        let id = trie.id(at: next)
        if id >= 0 {
          offer(id, scores[Int(id)] + before, from: start, to: position)
          if position - start == length { hasSingle = true }
        }
      }
      if !hasSingle { offer(unknownID, unknownScore + before, from: start, to: start + length) }
      start += length
    }
  }

  /// Appends, last first, the ids of a stretch without tokens of its own.
  private func appendUnknown(_ word: UnsafeRawBufferPointer, _ range: Range<Int>, to symbols: inout [Int32]) {
    let text = UnsafeRawBufferPointer(rebasing: word[range])
    if let id = vocabulary[text] {
      symbols.append(id)
    } else if !byteIDs.isEmpty && text.allSatisfy({ byteIDs[Int($0)] >= 0 }) {
      for byte in text.reversed() { symbols.append(byteIDs[Int(byte)]) }
    } else {
      symbols.append(unknownID)
    }
  }
}
