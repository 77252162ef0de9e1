import Testing

@testable import Tokenizers

@Suite struct TokenizerTests {
  /// A random text of any scalars, with runs of spaces and letters between them.
  private func randomText(_ generator: inout SystemRandomNumberGenerator) -> String {
    var text = ""
    for _ in 0..<Int.random(in: 0..<40, using: &generator) {
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: text += String(repeating: " ", count: .random(in: 1..<5, using: &generator))
      case 1: text += ["the", "'ll", "\r\n", "e\u{301}", "\0"].randomElement(using: &generator) ?? ""
      case 2: text.unicodeScalars.append(Unicode.Scalar(UInt8.random(in: 0...255, using: &generator)))
      default:
        if let scalar = Unicode.Scalar(UInt32.random(in: 0..<0x110000, using: &generator)) {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    return text
  }

  @Test func decodingGivesTheTextBack() throws {
    let tokenizer = try TokenizerFixture.tokenizer("plain")
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<300 {
      let text = randomText(&generator)
      let decoded = tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: false)
      #expect(decoded.utf8.elementsEqual(text.utf8), "\(text.unicodeScalars.map(\.value))")
    }
  }

  /// A merge loop that is quadratic in the length of a word does not come back from this.
  @Test func longRunsTakeLinearTime() throws {
    let tokenizer = try TokenizerFixture.tokenizer("plain")
    for letter in ["a", " ", "é", "-"] {
      let text = String(repeating: letter, count: 100_000)
      #expect(tokenizer.decode(tokenizer.encode(text), skipSpecialTokens: false) == text)
    }
  }

  /// Long words are merged with a heap, short ones by scanning; both find the same order.
  @Test func bothMergersAgree() throws {
    var table = MergeTable(count: 400)
    var generator = SystemRandomNumberGenerator()
    // Ids 0..<4 are symbols; each merge makes a new id of two that exist.
    var ids: [[Int32]: Int32] = [:]
    for rank in 0..<200 {
      let pair = (0..<2).map { _ in Int32.random(in: 0..<Int32(min(4 + ids.count, 16)), using: &generator) }
      guard ids[pair] == nil else { continue }
      ids[pair] = Int32(4 + ids.count)
      table.insert(pair[0], pair[1], rank: UInt32(rank), id: Int32(3 + ids.count))
    }
    for length in [1, 2, 3, 48, 49, 200] {
      for _ in 0..<20 {
        var symbols = (0..<length).map { _ in Int32.random(in: 0..<4, using: &generator) }
        let expected = mergeNaively(symbols, table)
        var merger = PairMerger()
        merger.merge(&symbols, with: table)
        #expect(symbols == expected)
      }
    }
  }

  private func mergeNaively(_ symbols: [Int32], _ table: MergeTable) -> [Int32] {
    var symbols = symbols
    while true {
      let ranked = symbols.indices.dropLast().compactMap { index in
        table[symbols[index], symbols[index + 1]].map { (rank: $0.rank, index: index, id: $0.id) }
      }
      guard let best = ranked.min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) else { return symbols }
      symbols.replaceSubrange(best.index...best.index + 1, with: [best.id])
    }
  }

  /// The cache starts anew after 65536 words; ids do not depend on what it holds.
  @Test func cacheChangesNothing() throws {
    let tokenizer = try TokenizerFixture.tokenizer("plain")
    let words = (0..<70_000).map { " \(String($0, radix: 36))x" }
    let together = tokenizer.encode(words.joined())
    let again = tokenizer.encode(words.joined())
    #expect(together == again)
    let fresh = try TokenizerFixture.tokenizer("plain")
    for index in stride(from: 0, to: words.count, by: 1009) {
      #expect(fresh.encode(words[index]) == tokenizer.encode(words[index]))
    }
  }

  @Test func threadsShareATokenizer() async throws {
    let tokenizer = try TokenizerFixture.tokenizer("added tokens")
    let texts = try TokenizerFixture.variant("added tokens").cases
    await withTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 {
        group.addTask { texts.allSatisfy { tokenizer.encode($0.text) == $0.ids } }
      }
      for await equal in group { #expect(equal) }
    }
  }

  @Test func canonicallyEquivalentTokensStayApart() throws {
    let tokenizer = try TokenizerFixture.tokenizer("added tokens")
    let composed = try #require(tokenizer.id(for: "\u{1EC7}"))
    let decomposed = try #require(tokenizer.id(for: "e\u{323}\u{302}"))
    #expect(composed != decomposed)
    #expect(tokenizer.encode("\u{1EC7}e\u{323}\u{302}") == [composed, decomposed])
  }

  @Test func looksTokensUp() throws {
    let tokenizer = try TokenizerFixture.tokenizer("plain")
    let id = try #require(tokenizer.id(for: "Ġthe"))
    #expect(tokenizer.token(for: id) == "Ġthe")
    #expect(tokenizer.encode(" the") == [id])
    #expect(tokenizer.id(for: " the") == nil)
    for id in [-1, Int32(tokenizer.vocabularySize), .max, .min] {
      #expect(tokenizer.token(for: id) == nil)
      #expect(tokenizer.decode([id], skipSpecialTokens: false).isEmpty)
    }
  }

  /// A cut inside a character gives one U+FFFD for each maximal part of a well-formed sequence.
  @Test func repairsBrokenText() {
    let samples: [([UInt8], String)] = [
      ([0xE2, 0x82], "\u{FFFD}"), ([0xE2, 0x82, 0x41], "\u{FFFD}A"),
      ([0xF0, 0x9F, 0x99, 0xF0, 0x9F], "\u{FFFD}\u{FFFD}"),
      ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
      ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), ([0x80, 0x61, 0xFF], "\u{FFFD}a\u{FFFD}"),
      ([0xE0, 0x9F, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xF0, 0x90, 0x80], "\u{FFFD}"), ([], ""),
    ]
    for (bytes, text) in samples { #expect(UTF8Scalars.decodeReplacingErrors(bytes) == text, "\(bytes)") }
  }
}
