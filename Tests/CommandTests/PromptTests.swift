import Foundation
import TestSupport
import Testing

/// Methods with other prompts than free vectors on the command line, from training to use.
@Suite struct PromptTests {
  private static let data = CommandRunner.fixtures.appendingPathComponent("e2e.jsonl").path

  private static func model(_ name: String) -> String { CommandRunner.fixtures.appendingPathComponent(name).path }

  private static func train(_ model: String, _ more: [String], to output: String) throws -> CommandResult {
    try CommandRunner.run(
      [
        "train", "--device", "cpu", "--model", Self.model(model), "--data", data, "--output", output,
        "--prompt-length", "4", "--batch-size", "6", "--learning-rate", "0.02", "--seed", "5", "--log-every", "1",
      ] + more)
  }

  private func object(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private func rows(_ url: URL) throws -> [[String: Any]] {
    try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map { try object(String($0)) }
  }

  @Test(arguments: [
    ["gpt2", "p-tuning"], ["gpt2", "prefix-tuning"], ["gpt2", "p-tuning-v2"], ["gpt2", "dynamic"],
    ["t5", "dynamic", "--prompt", "pool", "--pool-size", "2"], ["t5", "p-tuning-v2"],
    ["gpt2", "dynamic", "--length", "task"], ["gpt2", "dynamic", "--position", "instance", "--length", "instance"],
    [
      "t5", "dynamic", "--features", "padded-mean", "--feature-length", "12", "--length", "task", "--position", "task",
      "--prompt", "pool", "--pool-size", "2",
    ],
  ])
  func trainsResumesAndIsUsed(_ words: [String]) throws {
    let folder = try TemporaryFolder()
    let (whole, parts) = (folder.file("whole"), folder.file("parts"))
    let method = ["--method"] + words.dropFirst()
    let trained = try Self.train(words[0], method + ["--steps", "5"], to: whole.path)
    try #require(trained.status == 0, "\(trained.errors)")
    #expect(try Self.train(words[0], method + ["--steps", "2"], to: parts.path).status == 0)
    #expect(try Self.train(words[0], method + ["--steps", "5", "--resume"], to: parts.path).status == 0)
    for name in ["adapter_model.safetensors", "prompt.safetensors"] {
      let file = whole.appendingPathComponent(name)
      guard FileManager.default.fileExists(atPath: file.path) else { continue }
      #expect(try Data(contentsOf: file) == Data(contentsOf: parts.appendingPathComponent(name)), "\(name)")
    }
    let steps = try rows(whole.appendingPathComponent("metrics.jsonl"))
    if words[1] == "dynamic" {
      #expect(steps.contains { $0["temperature"] as? Double == 1 })
      #expect(words.contains("task") || steps.contains { ($0["features_computed"] as? Int ?? 0) > 0 })
    }
    let predictions = folder.file("predictions.jsonl")
    func evaluate(_ more: [String]) throws -> [String: Any] {
      let result = try CommandRunner.run(
        [
          "evaluate", "--device", "cpu", "--model", Self.model(words[0]), "--adapter", whole.path, "--data", Self.data,
          "--json", "--predictions", predictions.path,
        ] + more)
      try #require(result.status == 0, "\(result.errors)")
      return try #require(try object(result.output)["metrics"] as? [String: Any])
    }
    let loss = try #require(try evaluate([])["loss"] as? Double)
    let lines = try rows(predictions)
    if words.contains("pool") { #expect(lines.allSatisfy { ($0["pool_weights"] as? [Double])?.count == 2 }) }
    if words[1] == "dynamic" {
      let keys =
        words.contains("--length") ? words.contains("--position") ? ["length", "position"] : ["length"] : ["position"]
      for key in keys { #expect(lines.allSatisfy { (0...4).contains($0[key] as? Int ?? -1) }) }
      // So many in front, of those that there are.
      if keys.count == 2 {
        #expect(lines.allSatisfy { ($0["position"] as? Int ?? 9) <= ($0["length"] as? Int ?? -1) })
      }
    } else {
      #expect(lines.allSatisfy { $0["position"] == nil })
    }
    if words[1] == "dynamic" {
      // A run that was resumed logs the same numbers, the speed aside.
      let others = try rows(parts.appendingPathComponent("metrics.jsonl"))
      for key in ["loss", "temperature", "features_computed", "gradient_norm"] {
        #expect(steps.map { $0[key] as? Double } == others.map { $0[key] as? Double }, "\(key)")
      }
    }
    // Neither the batch size nor anything else of a command changes what a prompt is.
    let again = try #require(try evaluate(["--batch-size", "1"])["loss"] as? Double)
    #expect(abs(again - loss) <= 1e-4)
    let inspected = try CommandRunner.run(
      ["inspect", whole.path, "--device", "cpu", "--model", Self.model(words[0]), "--json"])
    #expect(try inspected.status == 0 && object(inspected.output)["virtual_tokens"] as? Int == 4, "\(inspected.errors)")
    let generated = try CommandRunner.run(
      [
        "generate", "--device", "cpu", "--model", Self.model(words[0]), "--adapter", whole.path, "--json",
        "--max-new-tokens", "3",
      ], input: "\"name[Aromi]\"\n\"b\"\n")
    #expect(generated.status == 0 && generated.output.split(separator: "\n").count == 2, "\(generated.errors)")
  }

  @Test func votesAndSums() throws {
    let folder = try TemporaryFolder()
    let (first, second) = (folder.file("first").path, folder.file("second").path)
    for (output, steps) in [(first, "1"), (second, "3")] {
      #expect(try Self.train("gpt2", ["--steps", steps], to: output).status == 0)
    }
    func predictions(_ adapters: [String]) throws -> [String] {
      let file = folder.file("rows.jsonl")
      let result = try CommandRunner.run(
        [
          "evaluate", "--device", "cpu", "--model", Self.model("gpt2"), "--data", Self.data, "--metrics", "exact-match",
          "--max-new-tokens", "4", "--predictions", file.path,
        ] + adapters.flatMap { ["--adapter", $0] })
      try #require(result.status == 0, "\(result.errors)")
      return try rows(file).compactMap { $0["prediction"] as? String }
    }
    let (one, two) = (try predictions([first]), try predictions([second]))
    #expect(try predictions([first, second, second]) == two)
    #expect(try predictions([first, second]) == one)
    func combine(_ name: String, _ more: [String]) throws -> CommandResult {
      try CommandRunner.run(["combine", first, second, "--output", folder.file(name).path] + more)
    }
    #expect(try combine("left", ["--weights", "1,0"]).status == 0)
    #expect(
      try Data(contentsOf: folder.file("left/adapter_model.safetensors"))
        == Data(contentsOf: folder.file("first/adapter_model.safetensors")))
    #expect(try combine("mean", []).status == 0)
    #expect(try predictions([folder.file("mean").path]).count == one.count)
    for arguments in [["--weights", "1"], ["--weights", "1,x"], ["--weights", "1,inf"]] {
      let result = try combine("bad", arguments)
      #expect(result.status == 2 && result.errorLines.count == 1, "\(result.errors)")
    }
    #expect(try combine("mean", []).status == 2)
  }

  @Test func refusals() throws {
    let folder = try TemporaryFolder()
    for (words, culprit) in [
      (["--method", "p-tuning-v2", "--position", "back"], "--position"),
      (["--method", "dynamic", "--position", "9"], "--position 9"),
      (["--method", "dynamic", "--position", "inside"], "position"),
      (["--method", "prompt-tuning", "--pool-size", "2"], "--pool-size"),
      (["--method", "p-tuning-v2", "--prompt-init", "text:a"], "--prompt-init"),
      (["--method", "prompt-tuning", "--prompt-init", "labels"], "labels"),
      (["--method", "dynamic", "--trainable", "all"], "--trainable all"),
      (["--method", "dynamic", "--features", "padded-mean"], "--features padded-mean"),
      (["--method", "dynamic", "--feature-length", "9"], "--feature-length"),
      (["--method", "dynamic", "--position", "task", "--features", "mean"], "--features"),
    ] {
      let result = try Self.train("gpt2", words + ["--steps", "1"], to: folder.file("run").path)
      #expect(result.status == 2 && result.errorLines.count == 1, "\(words): \(result.errors)")
      #expect(result.errors.contains(culprit), "\(words): \(result.errors)")
      #expect(!FileManager.default.fileExists(atPath: folder.file("run").path))
    }
  }
}
