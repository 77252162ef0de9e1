import Testing

@testable import Tokenizers

/// Ids and texts equal those of the reference implementation.
@Suite struct ReferenceTests {
  static let names = [
    "plain", "added tokens", "prefix space", "prefix space, added tokens", "no pattern", "whole words", "unknown bytes",
    "fused unknown bytes", "dropped bytes", "template", "roberta", "pair of files", "pair of files, begin token",
    "pair of files, special tokens map", "settings beside tokenizer.json",
  ]

  @Test func everyVariantIsTested() throws {
    #expect(try TokenizerFixture.shared.get().variants.map(\.name) == Self.names)
  }

  @Test(arguments: names) func encodes(_ name: String) throws {
    let variant = try TokenizerFixture.variant(name)
    let tokenizer = try TokenizerFixture.tokenizer(name)
    #expect(tokenizer.vocabularySize == variant.size)
    for sample in variant.cases {
      #expect(
        tokenizer.encode(sample.text) == sample.ids, "\(sample.text.unicodeScalars.map { String($0.value, radix: 16) })"
      )
      #expect(tokenizer.encode(sample.text, addSpecialTokens: false) == sample.bare ?? sample.ids)
    }
  }

  @Test(arguments: names) func decodes(_ name: String) throws {
    let tokenizer = try TokenizerFixture.tokenizer(name)
    for sample in try TokenizerFixture.variant(name).decoded {
      let text = tokenizer.decode(sample.ids, skipSpecialTokens: false)
      let skipped = tokenizer.decode(sample.ids, skipSpecialTokens: true)
      #expect(text.utf8.elementsEqual(sample.text.utf8), "\(sample.ids)")
      #expect(skipped.utf8.elementsEqual(sample.skipped.utf8), "\(sample.ids)")
    }
  }

  @Test(arguments: names.suffix(4)) func givesRoles(_ name: String) throws {
    let roles = try TokenizerFixture.variant(name).roles
    let special = try TokenizerFixture.tokenizer(name).specialTokens
    #expect(special.begin?.id == roles["bos"] ?? nil)
    #expect(special.end?.id == roles["eos"] ?? nil)
    #expect(special.pad?.id == roles["pad"] ?? nil)
    #expect(special.unknown?.id == roles["unk"] ?? nil)
  }

  /// The pieces of a text with every scalar value of the planes that have letters, next to a letter, a digit and symbols.
  @Test func everyScalarIsSplitAlike() throws {
    for block in try TokenizerFixture.shared.get().blocks {
      var text = ""
      for value in block.start..<block.start + 0x1000 {
        guard let scalar = Unicode.Scalar(value) else { continue }
        text.unicodeScalars.append(contentsOf: ["a", scalar, "1", " ", scalar, "!", scalar])
      }
      var count = 0
      var checksum: UInt64 = 0xCBF2_9CE4_8422_2325
      text.withUTF8 { bytes in
        let splitter = ByteLevelSplitter(bytes, classes: .shared)
        var start = 0
        while start < bytes.count {
          let end = splitter.endOfPiece(from: start, until: bytes.count)
          checksum = (checksum ^ UInt64(end - start)) &* 0x100_0000_01B3
          count += 1
          start = end
        }
      }
      #expect(
        count == block.count && checksum == UInt64(block.sum, radix: 16), "U+\(String(block.start, radix: 16))")
    }
  }
}
