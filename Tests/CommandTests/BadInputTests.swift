import Foundation
import TestSupport
import Testing

/// Bad input ends with exit code 2, one line on standard error that names the culprit, and nothing written.
@Suite struct BadInputTests {
  private let model = CommandRunner.fixtures.appendingPathComponent("gpt2").path
  private let data = CommandRunner.fixtures.appendingPathComponent("e2e.jsonl").path

  private func expectRefusal(
    _ arguments: [String], naming culprits: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let result = try CommandRunner.run(arguments)
    #expect(result.status == 2, "\(arguments): \(result.errors)", sourceLocation: sourceLocation)
    #expect(result.errorLines.count == 1, "\(result.errors)", sourceLocation: sourceLocation)
    for culprit in culprits {
      #expect(result.errors.contains(culprit), "\(result.errors)", sourceLocation: sourceLocation)
    }
  }

  private func train(_ folder: TemporaryFolder, model: String? = nil, data: String? = nil, _ more: [String] = [])
    -> [String]
  {
    [
      "train", "--device", "cpu", "--model", model ?? self.model, "--data", data ?? self.data, "--output",
      folder.file("run").path, "--prompt-length", "3", "--steps", "1",
    ] + more
  }

  @Test func unknownWords() throws {
    try expectRefusal(["trian"], naming: "trian", "train")
    try expectRefusal(["devices", "--jsn"], naming: "--jsn", "--json")
    try expectRefusal(["tokenize", "--mdel", "x"], naming: "--mdel", "--model")
    try expectRefusal(["conformance", "--device", "nowhere"], naming: "nowhere")
    try expectRefusal(["conformance", "--device", "opencl:99.99"], naming: "opencl:99.99")
  }

  @Test func models() throws {
    let folder = try TemporaryFolder()
    try expectRefusal(train(folder, model: folder.file("none").path), naming: folder.file("none").path)
    let broken = folder.file("broken").path
    try FileManager.default.copyItem(atPath: model, toPath: broken)
    try Data("{".utf8).write(to: URL(fileURLWithPath: broken + "/config.json"))
    try expectRefusal(train(folder, model: broken), naming: "config.json")
    try Data(#"{"model_type": "gpt9"}"#.utf8).write(to: URL(fileURLWithPath: broken + "/config.json"))
    try expectRefusal(train(folder, model: broken), naming: "config.json", "gpt9", "gpt2")
    try FileManager.default.removeItem(atPath: broken)
    try FileManager.default.copyItem(atPath: model, toPath: broken)
    let weights = URL(fileURLWithPath: broken + "/model.safetensors")
    try Data(try Data(contentsOf: weights).dropLast(100)).write(to: weights)
    try expectRefusal(train(folder, model: broken), naming: "model.safetensors", "truncated")
    #expect(!FileManager.default.fileExists(atPath: folder.file("run").path))
  }

  @Test func examples() throws {
    let folder = try TemporaryFolder()
    let good = #"{"input": "a", "target": "b"}"# + "\n"
    try expectRefusal(
      train(folder, data: try folder.write(good + "{\n", to: "a.jsonl").path), naming: "a.jsonl:2")
    try expectRefusal(
      train(folder, data: try folder.write(good + #"{"input": "a"}"# + "\n", to: "b.jsonl").path), naming: "b.jsonl:2",
      "target")
    try expectRefusal(train(folder, data: try folder.write("", to: "c.jsonl").path), naming: "c.jsonl")
    try Data([0x7B, 0xFF, 0x0A]).write(to: folder.url.appendingPathComponent("d.jsonl"))
    try expectRefusal(train(folder, data: folder.file("d.jsonl").path), naming: "d.jsonl:1", "UTF-8")
    try expectRefusal(train(folder, data: folder.file("none.jsonl").path), naming: "none.jsonl")
    let long = String(repeating: "restaurant ", count: 400)
    try expectRefusal(
      train(folder, data: try folder.write(good + #"{"input": "\#(long)", "target": "b"}"# + "\n", to: "e.jsonl").path),
      naming: "e.jsonl:2", "--truncate")
    #expect(!FileManager.default.fileExists(atPath: folder.file("run").path))
  }

  @Test func outputs() throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("run").path, withIntermediateDirectories: true)
    try Data("mine".utf8).write(to: URL(fileURLWithPath: folder.file("run/file").path))
    try expectRefusal(train(folder), naming: folder.file("run").path)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("run").path) == ["file"])
    try expectRefusal(
      ["train", "--device", "cpu", "--model", model, "--data", data, "--output", "/proc/none/run", "--steps", "1"],
      naming: "/proc/none")
  }

  @Test func configurations() throws {
    let folder = try TemporaryFolder()
    let unknown = try folder.write("learning-rat: 0.1\n", to: "a.yaml").path
    try expectRefusal(train(folder, ["--config", unknown]), naming: "a.yaml", "learning-rat", "learning-rate")
    let wrong = try folder.write("steps: many\n", to: "b.yaml").path
    try expectRefusal(train(folder, ["--config", wrong]), naming: "b.yaml", "steps")
    try expectRefusal(train(folder, ["--prompt-length", "100000"]), naming: "100000")
    try expectRefusal(train(folder, ["--prompt", "none", "--trainable", "prompt"]), naming: "prompt")
  }

  @Test func adapters() throws {
    let folder = try TemporaryFolder()
    let adapter = CommandRunner.fixtures.appendingPathComponent("trained-adapter").path
    let copy = folder.file("adapter").path
    try FileManager.default.copyItem(atPath: adapter, toPath: copy)
    let evaluate = ["evaluate", "--device", "cpu", "--model", model, "--adapter", copy, "--data", data]
    let tensors = URL(fileURLWithPath: copy + "/adapter_model.safetensors")
    let whole = try Data(contentsOf: tensors)
    try Data(whole.dropLast(8)).write(to: tensors)
    try expectRefusal(evaluate, naming: "adapter_model.safetensors")
    try whole.write(to: tensors)
    let configuration = URL(fileURLWithPath: copy + "/adapter_config.json")
    let text = try String(contentsOf: configuration, encoding: .utf8)
    try Data(text.replacingOccurrences(of: "PROMPT_TUNING", with: "LORA").utf8).write(to: configuration)
    try expectRefusal(evaluate, naming: "adapter_config.json", "LORA")
    try FileManager.default.removeItem(at: configuration)
    try expectRefusal(evaluate, naming: "adapter_config.json")
  }
}
