import Foundation
import LanguageModels
import TestSupport
import Testing

/// Encoders and encoder-decoders on the command line.
@Suite struct EncoderTests {
  private static let t5 = CommandRunner.fixtures.appendingPathComponent("t5").path
  private static let data = CommandRunner.fixtures.appendingPathComponent("e2e.jsonl").path

  /// A tiny BERT with the fixtures' tokenizer.
  private static func bert() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write(
      """
      {"model_type": "bert", "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3,
       "intermediate_size": 16, "vocab_size": 384, "max_position_embeddings": 24, "initializer_range": 0.4}
      """, to: "config.json")
    let configuration = try ModelDirectory(folder.url).configuration
    let model = try ModelDirectory.initialize(configuration, seed: 3, on: try Backends.cpu.make())
    try ModelDirectory.save(
      model, configuration: configuration,
      companions: CommandRunner.fixtures.appendingPathComponent("gpt2"), to: folder.url)
    return folder
  }

  private func vectors(_ output: String) throws -> [[Double]] {
    try output.split(separator: "\n").map { try JSONDecoder().decode([Double].self, from: Data($0.utf8)) }
  }

  @Test func embedPrintsALineForEachLine() throws {
    let folder = try Self.bert()
    let command = ["embed", "--device", "cpu", "--model", folder.url.path]
    let plain = try CommandRunner.run(command, input: "one\r\ntwo words\nthree")
    try #require(plain.status == 0, "\(plain.errors)")
    let rows = try vectors(plain.output)
    #expect(rows.count == 3 && rows.allSatisfy { $0.count == 12 })
    let json = try CommandRunner.run(
      command + ["--json-input", "--batch-size", "1"], input: "\"one\\r\"\n\"two words\"\n\"three\"\n")
    #expect(try zip(vectors(json.output), rows).allSatisfy { zip($0, $1).allSatisfy { abs($0 - $1) < 1e-5 } })
    let unit = try vectors(try CommandRunner.run(command + ["--normalize"], input: "one\n").output)
    #expect(abs(unit[0].reduce(0) { $0 + $1 * $1 } - 1) < 1e-6)
    let tokens = try CommandRunner.run(command + ["--pooling", "none"], input: "two words\n")
    let matrix = try JSONDecoder().decode([[Double]].self, from: Data(tokens.output.utf8))
    #expect(matrix.count > 1 && matrix.allSatisfy { $0.count == 12 })
    #expect(try CommandRunner.run(command, input: "").output == "")
    for model in ["t5", "gpt2"] {
      let path = CommandRunner.fixtures.appendingPathComponent(model).path
      let result = try CommandRunner.run(["embed", "--device", "cpu", "--model", path], input: "one\ntwo\n")
      #expect(try result.status == 0 && vectors(result.output).count == 2, "\(result.errors)")
    }
  }

  @Test func embedRefusesWhatItCannotDo() throws {
    let folder = try Self.bert()
    let command = ["embed", "--device", "cpu", "--model", folder.url.path]
    let long = String(repeating: "ab ", count: 40) + "\n"
    let refused = try CommandRunner.run(command, input: "one\n" + long)
    #expect(refused.status == 2 && refused.errorLines.count == 1)
    #expect(refused.errors.contains("standard input:2") && refused.errors.contains("24 positions"))
    let cut = try CommandRunner.run(command + ["--truncate", "input-end"], input: long)
    #expect(cut.status == 0 && cut.errors.contains("standard input:1") && cut.errors.contains("were cut"))
    let empty = try CommandRunner.run(command, input: "one\n\n")
    #expect(empty.status == 2 && empty.errors.contains("standard input:2"))
    #expect(try CommandRunner.run(command + ["--pooling", "median"], input: "x\n").status == 2)
    // An encoder writes no text and learns no text.
    let generated = try CommandRunner.run(
      ["generate", "--device", "cpu", "--model", folder.url.path, "--input", "a"])
    #expect(generated.status == 2 && generated.errors.contains("embed"), "\(generated.errors)")
    let trained = try CommandRunner.run([
      "train", "--device", "cpu", "--model", folder.url.path, "--data", Self.data, "--output",
      folder.file("run").path, "--steps", "1",
    ])
    #expect(trained.status == 2 && !FileManager.default.fileExists(atPath: folder.file("run").path))
  }

  @Test func t5TrainEvaluateGenerate() throws {
    let folder = try TemporaryFolder()
    let run = folder.file("run").path
    let trained = try CommandRunner.run([
      "train", "--device", "cpu", "--model", Self.t5, "--data", Self.data, "--output", run, "--method",
      "prompt-tuning", "--prompt-length", "6", "--prompt-init", "vocabulary", "--learning-rate", "0.3",
      "--batch-size", "6", "--steps", "20", "--seed", "5",
    ])
    try #require(trained.status == 0, "\(trained.errors)")
    func loss(_ more: [String]) throws -> Double {
      let result = try CommandRunner.run(
        [
          "evaluate", "--device", "cpu", "--model", Self.t5, "--data", Self.data, "--metrics", "loss,bleu",
          "--max-new-tokens", "8", "--json",
        ] + more)
      try #require(result.status == 0, "\(result.errors)")
      let object = try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
      return try #require((object["metrics"] as? [String: Any])?["loss"] as? Double)
    }
    #expect(try loss(["--adapter", run]) < loss([]))
    let generated = try CommandRunner.run(
      ["generate", "--device", "cpu", "--model", Self.t5, "--adapter", run, "--max-new-tokens", "5", "--json"],
      input: "\"name[Aromi]\"\n\"\"\n")
    #expect(generated.status == 0 && generated.output.split(separator: "\n").count == 2, "\(generated.errors)")
    // An adapter of a decoder does not fit.
    let other = try CommandRunner.run([
      "evaluate", "--device", "cpu", "--model", CommandRunner.fixtures.appendingPathComponent("gpt2").path,
      "--data", Self.data, "--adapter", run,
    ])
    #expect(other.status == 2 && other.errors.contains("SEQ_2_SEQ_LM"), "\(other.errors)")
  }
}
