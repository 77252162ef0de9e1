import Foundation
import TestSupport
import Testing

/// What an adapter keeps of its demonstrations, so that evaluation shows what training showed or refuses.
@Suite struct StoredDemonstrationTests {
  private static let model = CommandRunner.fixtures.appendingPathComponent("gpt2")

  private static func object(_ text: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  /// The model behind a dense retriever is known by its files: another one in its place is refused until it is named.
  @Test func aChangedRetrieverIsRefused() throws {
    let folder = try TemporaryFolder()
    let retriever = folder.file("retriever")
    try FileManager.default.copyItem(at: Self.model, to: retriever)
    let rows = (0..<6).map { "{\"input\": \"name[\($0)] pub\", \"target\": \"it is \($0 % 2)\"}\n" }.joined()
    let data = try folder.write(rows, to: "data.jsonl").path
    let run = folder.file("run").path
    let trained = try CommandRunner.run([
      "train", "--device", "cpu", "--model", Self.model.path, "--data", data, "--output", run, "--method", "ipt",
      "--retriever", retriever.path, "--prompt-length", "2", "--steps", "1",
    ])
    try #require(trained.status == 0, "\(trained.errors)")
    let settings = try Self.object(String(contentsOfFile: run + "/softprompt.json", encoding: .utf8))
    let demonstrations = try #require(settings["demonstrations"] as? [String: Any])
    #expect((demonstrations["retrieverDigest"] as? String)?.isEmpty == false)
    let command = [
      "evaluate", "--device", "cpu", "--model", Self.model.path, "--adapter", run, "--data", data, "--json",
    ]
    #expect(try CommandRunner.run(command).status == 0)
    // One bit of one weight.
    let weights = retriever.appendingPathComponent("model.safetensors")
    var bytes = try Data(contentsOf: weights)
    bytes[bytes.count - 4] ^= 1
    try bytes.write(to: weights)
    let changed = try CommandRunner.run(command)
    #expect(changed.status == 2 && changed.errorLines.count == 1, "\(changed.errors)")
    #expect(
      changed.errors.contains(retriever.path) && changed.errors.contains("the retriever's model has changed"),
      "\(changed.errors)")
    #expect(try CommandRunner.run(command + ["--retriever", retriever.path]).status == 0)
    try FileManager.default.removeItem(at: retriever)
    let gone = try CommandRunner.run(command)
    #expect(gone.status == 2 && gone.errors.contains(retriever.path), "\(gone.errors)")
  }

  /// The few examples that a run drew are no file of their own: the adapter keeps all of them.
  @Test(arguments: ["random", "fixed", "retrieved"]) func aFewShotRunKeepsItsPool(_ selection: String) throws {
    let folder = try TemporaryFolder()
    let rows = (0..<12).map { "{\"text\": \"name[\($0)]\", \"label\": \"\($0 % 3 == 0 ? "bad" : "good")\"}\n" }
    let (data, held) = (folder.file("data.jsonl").path, folder.file("held.jsonl").path)
    for path in [data, held] { try Data(rows.joined().utf8).write(to: URL(fileURLWithPath: path)) }
    let arguments = [
      "train", "--device", "cpu", "--model", Self.model.path, "--data", data, "--validation", held, "--template",
      "{text}", "--head", "verbalizer", "--label-words", "no,yes", "--examples-per-label", "2", "--demonstrations",
      selection, "--shots", "2", "--prompt-length", "2", "--steps", "2", "--seed", "4",
    ]
    let dry = try CommandRunner.run(arguments + ["--dry-run", "--json"])
    try #require(dry.status == 0, "\(dry.errors)")
    let chosen = try #require((try Self.object(dry.output)["data"] as? [String: Any])?["lines"] as? [Int])
    #expect(chosen.count == 4)
    let run = folder.file("run").path
    let trained = try CommandRunner.run(arguments + ["--output", run])
    try #require(trained.status == 0, "\(trained.errors)")
    let settings = try Self.object(String(contentsOfFile: run + "/softprompt.json", encoding: .utf8))
    let kept = try #require((settings["demonstrations"] as? [String: Any])?["examples"] as? [[String: Any]])
    #expect(kept.compactMap { ($0["source"] as? [String: Any])?["line"] as? Int } == chosen)
    // The data it was drawn from is not needed any more, and nothing else is shown than in training's validation.
    try FileManager.default.removeItem(atPath: data)
    let evaluated = try CommandRunner.run([
      "evaluate", "--device", "cpu", "--model", Self.model.path, "--adapter", run + "/last", "--data", held, "--json",
    ])
    try #require(evaluated.status == 0, "\(evaluated.errors)")
    let loss = try #require((try Self.object(evaluated.output)["metrics"] as? [String: Any])?["loss"] as? Double)
    let lines = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n")
    let validation = try #require(try lines.compactMap { try Self.object($0)["validation_loss"] as? Double }.last)
    #expect(abs(loss - validation) <= 1e-5 * max(1, validation), "\(loss), \(validation)")
  }
}
