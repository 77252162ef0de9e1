import Foundation
import Testing
import Tokenizers

/// Tokenizers, texts and ids made by tools/fixtures/tokenizer_ids.py.
struct TokenizerFixture: Decodable {
  struct Encoded: Decodable {
    let text: String
    let ids: [Int32]
    /// The ids without special tokens, where they differ.
    let bare: [Int32]?
  }

  struct Decoded: Decodable {
    let ids: [Int32]
    let text: String
    let skipped: String
  }

  struct Variant: Decodable {
    let name: String
    let model: String
    /// `tokenizer.json` up to its model, or nil for `vocab.json` with `merges.txt`.
    let head: String?
    let files: [String: String]
    let size: Int
    let roles: [String: Int32?]
    let cases: [Encoded]
    let decoded: [Decoded]
  }

  struct Block: Decodable {
    let start: UInt32
    let count: Int
    let sum: String
  }

  let models: [String: String]
  let vocab: String
  let merges: String
  let variants: [Variant]
  let blocks: [Block]

  static let shared: Result<TokenizerFixture, any Error> = Result {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/tokenizers", withExtension: "json"))
    return try JSONDecoder().decode(TokenizerFixture.self, from: Data(contentsOf: url))
  }

  static func variant(_ name: String) throws -> Variant {
    try #require(try shared.get().variants.first { $0.name == name })
  }

  /// The files of a variant, by name.
  func files(of variant: Variant) throws -> [String: String] {
    var files = variant.files
    if let head = variant.head {
      files["tokenizer.json"] = head + (try #require(models[variant.model])) + "}"
    } else {
      files["vocab.json"] = vocab
      files["merges.txt"] = merges.replacingOccurrences(of: "\n", with: files["merges.txt"] ?? "\n")
    }
    return files
  }

  /// Loads a tokenizer from files written to a directory of their own.
  static func load(_ files: [String: String]) throws -> any Tokenizer {
    try withDirectory(files) { try TokenizerFiles.load(directory: $0) }
  }

  /// Calls `body` with a directory that holds these files, and removes it.
  static func withDirectory<Value>(_ files: [String: String], _ body: (URL) throws -> Value) throws -> Value {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    for (name, content) in files {
      try Data(content.utf8).write(to: directory.appendingPathComponent(name))
    }
    return try body(directory)
  }

  /// The tokenizer of a variant.
  static func tokenizer(_ name: String) throws -> any Tokenizer {
    try load(try shared.get().files(of: variant(name)))
  }
}
