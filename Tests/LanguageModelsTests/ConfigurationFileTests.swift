import Foundation
import TestSupport
import Testing

@testable import LanguageModels

@Suite struct ConfigurationFileTests {
  private func open(_ json: String) throws -> (file: ConfigurationFile, folder: TemporaryFolder) {
    let folder = try TemporaryFolder()
    return (try ConfigurationFile(url: try folder.write(json, to: "config.json")), folder)
  }

  @Test(arguments: ["", "[]", "3", "{", "{\"a\":}", "\u{0}"]) func notAnObject(_ json: String) throws {
    #expect(throws: CheckpointError.self) { try open(json) }
  }

  @Test func valuesOfTheRightKind() throws {
    let (file, folder) = try open(
      #"{"i": 3, "z": 0, "one": 1, "n": 2.5, "t": true, "s": "x", "null": null, "id": 7, "ids": [7, 9]}"#)
    withExtendedLifetime(folder) {}
    #expect(try file.integer("i") == 3)
    #expect(try file.integer("one") == 1)
    #expect(try file.integer("z", atLeast: 0) == 0)
    #expect(try file.number("n", default: 0) == 2.5)
    #expect(try file.number("i", default: 0) == 3)
    #expect(try file.number("absent", default: 0.25) == 0.25)
    #expect(try file.boolean("t", default: false))
    #expect(try file.boolean("null", default: true))
    #expect(try file.optionalString("s") == "x")
    #expect(try file.optionalString("null") == nil)
    #expect(try file.identifiers("id") == [7])
    #expect(try file.identifiers("ids") == [7, 9])
    #expect(try file.identifiers("absent") == [])
  }

  /// Each lookup of a value of the wrong kind names the file and the key.
  @Test func valuesOfTheWrongKind() throws {
    let (file, folder) = try open(
      #"{"n": 2.5, "t": true, "one": 1, "s": "x", "big": 1e30, "neg": -4, "bad": [1, "x"], "wide": [99999999999]}"#)
    let lookups: [(key: String, look: () throws -> Void)] = [
      ("absent", { _ = try file.integer("absent") }), ("n", { _ = try file.integer("n") }),
      ("t", { _ = try file.integer("t") }), ("s", { _ = try file.integer("s") }),
      ("big", { _ = try file.integer("big") }), ("neg", { _ = try file.integer("neg") }),
      ("t", { _ = try file.number("t", default: 0) }), ("s", { _ = try file.number("s", default: 0) }),
      ("one", { _ = try file.boolean("one", default: false) }), ("s", { _ = try file.boolean("s", default: false) }),
      ("n", { _ = try file.optionalString("n") }), ("bad", { _ = try file.identifiers("bad") }),
      ("t", { _ = try file.identifiers("t") }), ("n", { _ = try file.identifiers("n") }),
      ("wide", { _ = try file.identifiers("wide") }),
    ]
    for (number, (key, look)) in lookups.enumerated() {
      let error = #expect(throws: CheckpointError.self, "lookup \(number) of '\(key)'") { try look() }
      let message = error.map { "\($0)" } ?? ""
      #expect(message.hasPrefix("\(folder.file("config.json").path): '\(key)' "), "\(message)")
    }
  }

  static let wrongModels: [(change: String, mention: String)] = [
    (#""model_type": null"#, "'model_type' is missing"), (#""model_type": "mamba""#, "'mamba'; supported are: gpt2"),
    (#""model_type": 3"#, "'model_type' is not a string"), (#""n_embd": null"#, "'n_embd' is missing"),
    (#""n_embd": 0"#, "'n_embd' is 0"), (#""n_embd": -8"#, "'n_embd' is -8"), (#""n_head": 3"#, "'n_head' is 3"),
    (#""n_embd": 4611686018427387904"#, "'n_embd' is 4611686018427387904"),
    (#""n_inner": 0"#, "'n_inner' is 0"), (#""n_layer": 1.5"#, "'n_layer' is not a whole number"),
    (#""activation_function": "swoosh""#, "'activation_function' is 'swoosh'"),
    (#""layer_norm_epsilon": "small""#, "'layer_norm_epsilon' is not a number"),
    (#""tie_word_embeddings": 1"#, "'tie_word_embeddings'"),
    (#""add_cross_attention": true"#, "'add_cross_attention' has a value that is not implemented"),
  ]

  @Test(arguments: wrongModels.indices) func wrongModel(_ place: Int) throws {
    let (change, mention) = Self.wrongModels[place]
    let key = String(change.prefix { $0 != ":" })
    let pairs = [
      #""model_type": "gpt2""#, #""n_embd": 8"#, #""n_layer": 1"#, #""n_head": 2"#, #""n_positions": 16"#,
      #""vocab_size": 11"#,
    ].filter { !$0.hasPrefix(key) }
    let folder = try TemporaryFolder()
    try folder.write("{" + (pairs + [change]).joined(separator: ", ") + "}", to: "config.json")
    let error = #expect(throws: CheckpointError.self) {
      let backend = try Backends.cpu.make()
      _ = try ModelDirectory.initialize(try ModelDirectory(folder.url).configuration, seed: 1, on: backend)
    }
    let message = error.map { "\($0)" } ?? ""
    #expect(message.contains(mention), "\(message)")
    #expect(message.hasPrefix(folder.file("config.json").path), "\(message)")
  }
}
