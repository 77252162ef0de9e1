import Foundation
import TestSupport
import Testing

/// Prompts that several tasks share, from training on a mixture to use and to a further task.
@Suite struct MultitaskTests {
  private static func model(_ name: String) -> String { CommandRunner.fixtures.appendingPathComponent(name).path }

  private static func rows(_ target: String, _ range: Range<Int>) -> String {
    range.map { "{\"input\": \"name[\($0)]\", \"target\": \"\(target) \($0 % 3)\"}\n" }.joined()
  }

  private static func object(_ text: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private static func train(_ model: String, _ more: [String]) throws -> CommandResult {
    try CommandRunner.run(
      [
        "train", "--device", "cpu", "--model", Self.model(model), "--method", "multitask-prompt-tuning",
        "--batch-size", "4", "--learning-rate", "0.3", "--seed", "5", "--log-every", "1",
      ] + more)
  }

  private static func loss(_ model: String, _ adapter: String, _ data: String, _ more: [String] = []) throws -> Double {
    let result = try CommandRunner.run(
      [
        "evaluate", "--device", "cpu", "--model", Self.model(model), "--adapter", adapter, "--data", data, "--json",
      ] + more)
    try #require(result.status == 0, "\(result.errors)")
    let metrics = try #require(try object(result.output)["metrics"] as? [String: Any])
    return try #require(metrics["loss"] as? Double)
  }

  @Test(arguments: ["gpt2", "t5"]) func trainsResumesAndGoesOn(_ model: String) throws {
    let folder = try TemporaryFolder()
    let a = try folder.write(Self.rows("it is", 0..<9), to: "a.jsonl").path
    let b = try folder.write(Self.rows("zzz qq", 4..<12), to: "b.jsonl").path
    let (whole, parts) = (folder.file("whole").path, folder.file("parts").path)
    let source =
      ["--mix", "\(a)=2", "\(b)=1", "--validation", a, b, "--prompt-length", "4", "--prompt-ranks", "2"]
    let trained = try Self.train(model, source + ["--output", whole, "--steps", "12"])
    try #require(trained.status == 0, "\(trained.errors)")
    #expect(try Self.train(model, source + ["--output", parts, "--steps", "5"]).status == 0)
    #expect(try Self.train(model, source + ["--output", parts, "--steps", "12", "--resume"]).status == 0)
    func bytes(_ run: String, _ name: String) throws -> Data {
      try Data(contentsOf: URL(fileURLWithPath: run).appendingPathComponent(name))
    }
    #expect(try bytes(whole, "last/adapter_model.safetensors") == bytes(parts, "last/adapter_model.safetensors"))
    // PEFT's file holds everything.
    #expect(!FileManager.default.fileExists(atPath: whole + "/prompt.safetensors"))
    let configuration = try Self.object(
      String(decoding: bytes(whole, "adapter_config.json"), as: UTF8.self))
    #expect(configuration["peft_type"] as? String == "MULTITASK_PROMPT_TUNING")
    #expect(configuration["num_tasks"] as? Int == 2 && configuration["num_ranks"] as? Int == 2)

    // Each task has its own prompt: it is better on its own data, and the validation is that of both.
    let last = whole + "/last"
    let own = try [(a, "0"), (b, "1")].map { try Self.loss(model, last, $0, ["--prompt-task", $1]) }
    let other = try [(a, "1"), (b, "0")].map { try Self.loss(model, last, $0, ["--prompt-task", $1]) }
    #expect(own[0] < other[0] && own[1] < other[1], "\(own), \(other)")
    let lines = try String(decoding: bytes(whole, "metrics.jsonl"), as: UTF8.self).split(separator: "\n")
    let validation = try #require(
      try lines.map { try Self.object($0) }.last { $0["validation_loss"] != nil }?["validation_loss"] as? Double)
    func tokens(_ path: String) throws -> Double {
      let file = folder.file("rows.jsonl").path
      _ = try Self.loss(model, last, path, ["--prompt-task", "0", "--predictions", file])
      return try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").reduce(0) {
        $0 + Double(try #require(try Self.object($1)["tokens"] as? Int))
      }
    }
    let counts = try [tokens(a), tokens(b)]
    let both = (own[0] * counts[0] + own[1] * counts[1]) / (counts[0] + counts[1])
    #expect(abs(validation - both) <= 1e-4 * both, "\(validation), \(both)")

    // A further task starts from them; the number of rows and the rank are theirs.
    for start in ["average", "1", "shared"] {
      let target = folder.file("target-\(start)").path
      let next = try Self.train(
        model,
        [
          "--data", b, "--prompt-init", "adapter:\(last)", "--prompt-task-init", start, "--steps", "1", "--output",
          target, "--learning-rate", "0",
        ])
      try #require(next.status == 0, "\(next.errors)")
      // At rate 0 the start itself is what is written; one task needs no choice.
      let loss = try Self.loss(model, target, b)
      if start == "1" { #expect(abs(loss - own[1]) <= 1e-4 * own[1], "\(loss), \(own[1])") }
    }
    let inspected = try CommandRunner.run(
      ["inspect", last, "--device", "cpu", "--model", Self.model(model), "--json", "--prompt-task", "1"])
    #expect(inspected.status == 0, "\(inspected.errors)")
  }

  @Test func refusals() throws {
    let folder = try TemporaryFolder()
    let a = try folder.write(Self.rows("it is", 0..<4), to: "a.jsonl").path
    let output = folder.file("run").path
    for (words, culprit) in [
      (["--mix", "\(a)=1", "\(a)=1", "--validation", a], "--validation has 1 files"),
      (["--data", a, "--position", "back"], "--prompt multitask stands in front"),
      (["--data", a, "--method", "prompt-tuning", "--prompt-ranks", "2"], "--prompt-ranks"),
      (["--data", a, "--prompt-task-init", "average"], "--prompt-task-init"),
      (["--data", a, "--prompt-task-init", "none"], "--prompt-task-init"),
      (["--data", a, "--method", "prompt-tuning", "--validation", a, a], "--validation takes one file"),
    ] {
      let result = try Self.train("gpt2", words + ["--steps", "1", "--output", output])
      #expect(result.status == 2, "\(words): \(result.errors)")
      #expect(result.errors.contains(culprit), "\(words): \(result.errors)")
      #expect(!FileManager.default.fileExists(atPath: output))
    }
  }
}
