import Foundation
import Testing
import Tokenizers

/// Ids and texts of tokenizers in the shapes that model families ship equal those of the reference implementation.
@Suite struct FamilyTests {
  static let names = [
    "gpt2", "llama3", "llama3 whole words", "qwen2", "neox", "bloom", "smollm", "opt", "o200k", "deepseek", "clip",
    "starcoder", "llama2", "llama2 added", "mistral", "llama unknown", "llama unfused", "gemma", "bert", "bert cased",
    "bert whitespace", "t5", "xlm-r", "xlm-r spaces", "albert", "unigram bytes",
  ]

  @Test func everyKindIsTested() throws {
    #expect(try FamilyFixture.shared.get().kinds.map(\.name) == Self.names)
  }

  @Test(arguments: names) func encodesAndDecodes(_ name: String) throws {
    let fixture = try FamilyFixture.shared.get()
    let kind = try #require(fixture.kinds.first { $0.name == name })
    let tokenizer = try TokenizerFixture.load(["tokenizer.json": fixture.tokenizer(kind)])
    try #require(kind.ids.count == fixture.texts.count)
    for (text, ids) in zip(fixture.texts, kind.ids) {
      #expect(tokenizer.encode(text) == ids, "\(text.unicodeScalars.map { String($0.value, radix: 16) })")
    }
    for sample in kind.decoded {
      let text = tokenizer.decode(sample.ids, skipSpecialTokens: false)
      let skipped = tokenizer.decode(sample.ids, skipSpecialTokens: true)
      #expect(text.utf8.elementsEqual(sample.text.utf8), "\(sample.ids)")
      #expect(skipped.utf8.elementsEqual(sample.skipped.utf8), "\(sample.ids)")
    }
  }

  /// Words one by one are what the reference makes of a text that is split already.
  @Test(arguments: names) func encodesWords(_ name: String) throws {
    let fixture = try FamilyFixture.shared.get()
    let kind = try #require(fixture.kinds.first { $0.name == name })
    let tokenizer = try TokenizerFixture.load(["tokenizer.json": fixture.tokenizer(kind)])
    let expected = try WordFixture.shared.get()
    let ids = try #require(expected.kinds[name])
    for (word, (got, ids)) in zip(expected.words, zip(tokenizer.encode(words: expected.words), ids)) {
      #expect(got == ids, "'\(word)'")
    }
  }

  /// A SentencePiece model alone gives what the same model in `tokenizer.json` gives.
  @Test(arguments: [("t5", "spiece.model"), ("xlm-roberta", "sentencepiece.bpe.model")])
  func readsSentencePiece(_ family: String, _ name: String) throws {
    let fixture = try FamilyFixture.shared.get()
    let kind = try #require(fixture.kinds.first { $0.name == (family == "t5" ? "t5" : "xlm-r") })
    let url = try #require(Bundle.module.url(forResource: "Fixtures/unigram.spiece", withExtension: "model"))
    let config = "{\"model_type\": \"\(family)\"}"
    let tokenizer = try TokenizerFixture.withDirectory(["config.json": config]) { directory in
      try FileManager.default.copyItem(at: url, to: directory.appendingPathComponent(name))
      return try TokenizerFiles.load(directory: directory)
    }
    for (text, ids) in zip(fixture.texts, kind.ids) where !text.contains("<mask>") {
      #expect(tokenizer.encode(text) == ids, "\(text.unicodeScalars.map { String($0.value, radix: 16) })")
    }
    #expect(tokenizer.specialTokens.end?.content == "</s>")
    #expect(tokenizer.affixes.suffix == [tokenizer.specialTokens.end?.id])
  }

  /// `vocab.txt` gives what the same vocabulary in `tokenizer.json` gives.
  @Test func readsVocabularyText() throws {
    let fixture = try FamilyFixture.shared.get()
    let kind = try #require(fixture.kinds.first { $0.name == "bert" })
    let whole = try TokenizerFixture.load(["tokenizer.json": fixture.tokenizer(kind)])
    let lines = (0..<Int32(whole.vocabularySize)).map { (whole.token(for: $0) ?? "") + "\n" }
    let tokenizer = try TokenizerFixture.load(["vocab.txt": lines.joined()])
    for (text, ids) in zip(fixture.texts, kind.ids) { #expect(tokenizer.encode(text) == ids) }
    #expect(tokenizer.specialTokens.mask?.content == "[MASK]")
    #expect(tokenizer.specialTokens.classification?.id == tokenizer.affixes.prefix.first)
    #expect(tokenizer.specialTokens.separator?.id == tokenizer.affixes.suffix.first)
    #expect(tokenizer.specialTokens.pad?.id == 0)
  }
}

/// Words and their ids made by tools/fixtures/tokenizer_words.py.
struct WordFixture: Decodable {
  let words: [String]
  let kinds: [String: [[Int32]]]

  static let shared: Result<WordFixture, any Error> = Result {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/words", withExtension: "json"))
    return try JSONDecoder().decode(WordFixture.self, from: Data(contentsOf: url))
  }
}

/// Tokenizers, texts and ids made by tools/fixtures/tokenizer_families.py.
struct FamilyFixture: Decodable {
  struct Decoded: Decodable {
    let ids: [Int32]
    let text: String
    let skipped: String
  }

  struct Kind: Decodable {
    let name: String
    let model: String
    let parts: String
    let ids: [[Int32]]
    let decoded: [Decoded]
  }

  let models: [String: String]
  let texts: [String]
  let kinds: [Kind]

  static let shared: Result<FamilyFixture, any Error> = Result {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/families", withExtension: "json"))
    return try JSONDecoder().decode(FamilyFixture.self, from: Data(contentsOf: url))
  }

  /// The character map of the SentencePiece fixture, in base 64: the `precompiled_charsmap` of its normaliser.
  private static func characterMap() throws -> String {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/unigram.spiece", withExtension: "model"))
    let data = try Data(contentsOf: url)
    // The name of the rule stands in front of the map: field 1, then field 2 with its length in three bytes.
    let name = Data("nmt_nfkc".utf8)
    let start = try #require(data.range(of: name)?.upperBound)
    try #require(data[start] == 0x12)
    let length = (0..<3).reduce(0) { $0 | Int(data[start + 1 + $1] & 0x7F) << (7 * $1) }
    return data[(start + 4)..<(start + 4 + length)].base64EncodedString()
  }

  /// The `tokenizer.json` of a kind.
  func tokenizer(_ kind: Kind) throws -> String {
    var parts = kind.parts
    if parts.contains("{character map}") {
      parts = parts.replacingOccurrences(of: "{character map}", with: try Self.characterMap())
    }
    return "{\"version\": \"1.0\", " + parts.dropFirst().dropLast() + ", \"model\": " + (try model(kind.model)) + "}"
  }

  private func model(_ name: String) throws -> String {
    switch name {
    case "whole":
      let bytes = try #require(models["bytes"])
      let count = try vocabularyCount(bytes)
      let more = "\"Ġbrilliant\":\(count),\"æĹ¥æľ¬\":\(count + 1),\"!!!\":\(count + 2)"
      return bytes.replacingOccurrences(of: "\"ignore_merges\":false", with: "\"ignore_merges\":true")
        .replacingOccurrences(of: "},\"merges\"", with: ",\(more)},\"merges\"")
    case "plain characters", "unfused characters":
      let plain = try #require(models["characters"])
        .replacingOccurrences(of: "\"byte_fallback\":true", with: "\"byte_fallback\":false")
      return name == "plain characters"
        ? plain : plain.replacingOccurrences(of: "\"fuse_unk\":true", with: "\"fuse_unk\":false")
    default:
      return try #require(models[name]).replacingOccurrences(of: "{pieces}", with: try #require(models["pieces"]))
    }
  }

  private func vocabularyCount(_ model: String) throws -> Int {
    struct Model: Decodable { let vocab: [String: Int] }
    return try JSONDecoder().decode(Model.self, from: Data(model.utf8)).vocab.values.reduce(0, max) + 1
  }
}
