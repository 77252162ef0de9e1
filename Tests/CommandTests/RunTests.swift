import Foundation
import TestSupport
import Testing

/// Whole runs, from training to generated text, as a user makes them.
@Suite struct RunTests {
  private let model = CommandRunner.fixtures.appendingPathComponent("gpt2").path
  private let data = CommandRunner.fixtures.appendingPathComponent("e2e.jsonl").path

  private func training(_ output: String, steps: Int, _ more: [String] = []) -> [String] {
    [
      "train", "--device", "cpu", "--model", model, "--data", data, "--validation", data, "--output", output,
      "--prompt-length", "4", "--prompt-init", "vocabulary", "--learning-rate", "0.2", "--batch-size", "4",
      "--steps", String(steps), "--validate-every", "7", "--save-every", "3", "--log-every", "1", "--seed", "5",
    ] + more
  }

  private func adapter(_ run: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: run + "/adapter_model.safetensors"))
  }

  @Test func trainEvaluateGenerateInspect() throws {
    let folder = try TemporaryFolder()
    let run = folder.file("run").path
    let weights = try Data(contentsOf: URL(fileURLWithPath: model + "/model.safetensors"))
    let trained = try CommandRunner.run(training(run, steps: 15))
    try #require(trained.status == 0, "\(trained.errors)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: model + "/model.safetensors")) == weights)

    func loss(_ more: [String]) throws -> Double {
      let result = try CommandRunner.run(
        ["evaluate", "--device", "cpu", "--model", model, "--data", data, "--metrics", "loss", "--json"] + more)
      try #require(result.status == 0, "\(result.errors)")
      let object = try #require(
        try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
      return try #require((object["metrics"] as? [String: Any])?["loss"] as? Double)
    }
    let (before, after) = (try loss([]), try loss(["--adapter", run]))
    #expect(after < before - 0.01, "\(after) after, \(before) before")

    let inputs = "name[Aromi]\nname[Zizzi], food[Thai]\n"
    let generated = try CommandRunner.run(
      ["generate", "--device", "cpu", "--model", model, "--adapter", run, "--max-new-tokens", "6", "--json"],
      input: inputs.split(separator: "\n").map { "\"\($0)\"\n" }.joined())
    try #require(generated.status == 0, "\(generated.errors)")
    let lines = generated.output.split(separator: "\n")
    #expect(lines.count == 2)
    for line in lines { _ = try JSONDecoder().decode(String.self, from: Data(line.utf8)) }

    let inspected = try CommandRunner.run(["inspect", run, "--device", "cpu", "--model", model])
    #expect(inspected.status == 0, "\(inspected.errors)")
    #expect(inspected.output.contains("virtual tokens: 4"))
  }

  @Test func killedAnywhereResumesBitForBit() throws {
    let folder = try TemporaryFolder()
    let (count, clock) = (60, ContinuousClock())
    let start = clock.now
    let whole = try CommandRunner.run(training(folder.file("whole").path, steps: count))
    let seconds = (clock.now - start) / .seconds(1)
    try #require(whole.status == 0, "\(whole.errors)")
    let expected = try adapter(folder.file("whole").path)
    let run = folder.file("killed").path
    var kills = 0
    for share in [0.3, 0.5, 0.2, 0.7, 0.4] {
      let process = try CommandRunner.start(training(run, steps: count, ["--resume"]))
      Thread.sleep(forTimeInterval: share * seconds)
      if process.isRunning {
        kill(process.processIdentifier, SIGKILL)
        kills += 1
      }
      process.waitUntilExit()
    }
    let resumed = try CommandRunner.run(training(run, steps: count, ["--resume"]))
    try #require(resumed.status == 0, "\(resumed.errors)")
    #expect(kills > 0)
    #expect(try adapter(run) == expected)
    func steps(_ run: String) throws -> [Int] {
      try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map {
        let object = try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        return try #require(object?["step"] as? Int)
      }
    }
    #expect(try steps(run) == (try steps(folder.file("whole").path)))
  }

  @Test func interruptSavesAndExits130() throws {
    let folder = try TemporaryFolder()
    let run = folder.file("run").path
    let process = try CommandRunner.start(training(run, steps: 100_000))
    let metrics = run + "/metrics.jsonl"
    for _ in 0..<600 where !((try? Data(contentsOf: URL(fileURLWithPath: metrics)).count) ?? 0 > 200) {
      Thread.sleep(forTimeInterval: 0.05)
    }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    #expect(FileManager.default.fileExists(atPath: run + "/last/adapter_model.safetensors"))
  }

  @Test func dryRunWritesNothing() throws {
    let folder = try TemporaryFolder()
    let result = try CommandRunner.run(training(folder.file("run").path, steps: 5, ["--dry-run", "--json"]))
    try #require(result.status == 0, "\(result.errors)")
    let object = try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    for key in ["trainable_parameters", "parameters", "device", "model", "memory", "data"] {
      #expect(object[key] != nil, "\(key) is missing")
    }
    #expect(!FileManager.default.fileExists(atPath: folder.file("run").path))
  }

  @Test func tokenizeReadsLinesAndJSON() throws {
    let plain = try CommandRunner.run(["tokenize", "--model", model], input: "a b\r\n\nx")
    #expect(plain.status == 0)
    #expect(plain.output.split(separator: "\n", omittingEmptySubsequences: false).count == 4)
    let json = try CommandRunner.run(
      ["tokenize", "--model", model, "--json-input"], input: "\"a b\\r\"\n\"\"\n\"x\"\n")
    #expect(json.output == plain.output)
    let broken = try CommandRunner.run(["tokenize", "--model", model, "--json-input"], input: "\"a\"\nb\n")
    #expect(broken.status == 2)
    #expect(broken.errors.contains("standard input:2"))
  }
}
