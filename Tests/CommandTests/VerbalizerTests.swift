import Foundation
import TestSupport
import Testing

/// Label words behind an encoder-decoder on the command line, from training to predictions.
@Suite struct VerbalizerTests {
  /// A copy of the tiny T5 whose tokenizer has the token that the decoder reads, with the last id of the vocabulary.
  private static func model(in folder: TemporaryFolder) throws -> String {
    let directory = folder.file("t5")
    try FileManager.default.copyItem(at: CommandRunner.fixtures.appendingPathComponent("t5"), to: directory)
    let file = directory.appendingPathComponent("tokenizer.json")
    var tokenizer = try object(String(contentsOf: file, encoding: .utf8))
    var model = try #require(tokenizer["model"] as? [String: Any])
    var vocabulary = try #require(model["vocab"] as? [String: Int])
    let last = try #require(vocabulary.max { $0.value < $1.value })
    vocabulary[last.key] = nil
    vocabulary["<extra_id_0>"] = last.value
    // Merges that would make the token that has gone.
    model["merges"] = try #require(model["merges"] as? [Any]).filter { merge in
      let parts = (merge as? [String]) ?? (merge as? String)?.split(separator: " ").map(String.init) ?? []
      return parts.joined() != last.key
    }
    model["vocab"] = vocabulary
    tokenizer["model"] = model
    let token: [String: Any] = [
      "id": last.value, "content": "<extra_id_0>", "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": false, "special": true,
    ]
    tokenizer["added_tokens"] = try #require(tokenizer["added_tokens"] as? [Any]) + [token]
    try JSONSerialization.data(withJSONObject: tokenizer).write(to: file)
    return directory.path
  }

  private static func object(_ text: some StringProtocol) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  @Test(arguments: ["{text}", "it was {text} {mask}"]) func encoderDecoder(_ template: String) throws {
    let folder = try TemporaryFolder()
    let model = try Self.model(in: folder)
    let rows = (0..<8).map { "{\"text\": \"\($0 % 2 == 0 ? "aaa" : "zzz") \($0)\", \"label\": \($0 % 2)}\n" }
    let data = try folder.write(rows.joined(), to: "data.jsonl").path
    let run = folder.file("run").path
    let trained = try CommandRunner.run([
      "train", "--device", "cpu", "--model", model, "--data", data, "--validation", data, "--output", run,
      "--head", "verbalizer", "--template", template, "--label-words", "no,yes", "--prompt-length", "3", "--steps",
      "12", "--learning-rate", "0.3", "--batch-size", "4", "--log-every", "1",
    ])
    try #require(trained.status == 0, "\(trained.errors)")
    let lines = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n")
    let validations = try lines.map { try Self.object($0) }.filter { $0["validation_loss"] != nil }
    let losses = validations.compactMap { $0["validation_loss"] as? Double }
    #expect(losses.count == 2 && losses[1] < losses[0], "\(losses)")
    // Two words are all that a loss looks at: untrained it is near the logarithm of 2, not of the vocabulary.
    #expect(losses[0] < 3)
    let predictions = folder.file("rows.jsonl").path
    let evaluated = try CommandRunner.run([
      "evaluate", "--device", "cpu", "--model", model, "--adapter", run + "/last", "--data", data, "--json",
      "--predictions", predictions,
    ])
    try #require(evaluated.status == 0, "\(evaluated.errors)")
    let metrics = try #require(try Self.object(evaluated.output)["metrics"] as? [String: Any])
    let loss = try #require(metrics["loss"] as? Double)
    #expect(abs(loss - losses[1]) <= 1e-5)
    #expect(metrics["accuracy"] as? Double == validations[1]["accuracy"] as? Double)
    var sum = 0.0
    for line in try String(contentsOfFile: predictions, encoding: .utf8).split(separator: "\n") {
      let row = try Self.object(line)
      let scores = try #require(row["scores"] as? [Double])
      let label = try #require(row["label"] as? Int)
      #expect(scores.count == 2 && row["prediction"] as? Int == (scores[1] > scores[0] ? 1 : 0))
      sum += log(exp(scores[0]) + exp(scores[1])) - scores[label]
    }
    // The loss is the cross-entropy over the two words.
    #expect(abs(sum / 8 - loss) <= 1e-4, "\(sum / 8), \(loss)")
  }
}
