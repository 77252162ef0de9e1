import Foundation
import TestSupport
import Testing

/// Tasks with fields and labels, presets, mixtures and scores as a user has them.
@Suite struct TaskTests {
  private let model = CommandRunner.fixtures.appendingPathComponent("gpt2").path
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func json(_ text: String) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
  }

  private func rows() throws -> String {
    let rows = (0..<12).map {
      "{\"premise\": \"p\($0)\", \"hypothesis\": \"h\", \"label\": \"\($0 % 3 == 0 ? "entailment" : "not_entailment")\"}\n"
    }
    return try folder.write(rows.joined(), to: "rte.jsonl").path
  }

  @Test func presetsAreListed() throws {
    let list = try CommandRunner.run(["presets", "--json"])
    #expect(list.status == 0)
    let presets = try #require(try json(list.output)["presets"] as? [[String: Any]])
    let cb = try #require(presets.first { $0["name"] as? String == "superglue/cb" })
    #expect(cb["label_words"] as? [String] == ["yes", "no", "maybe"])
    #expect(try CommandRunner.run(["presets"]).output.contains("superglue/boolq"))
  }

  @Test func scores() throws {
    let data = try folder.write(
      "{\"label\": 1.0}\n{\"label\": 2}\n{\"label\": 4, \"target\": \"x\", \"logic\": \"max { a ; b }\"}\n",
      to: "d.jsonl"
    ).path
    let numbers = try folder.write(
      "{\"prediction\": 1}\n{\"prediction\": \"2.5\", \"extra\": []}\n{\"prediction\": 3}\n", to: "p.jsonl"
    ).path
    let good = try CommandRunner.run(
      ["score", "--predictions", numbers, "--data", data, "--metrics", "mse,pearson", "--json"])
    #expect(good.status == 0, "\(good.errors)")
    let report = try json(good.output)
    #expect(report["examples"] as? Int == 3)
    let metrics = try #require(report["metrics"] as? [String: Double])
    #expect(abs(try #require(metrics["mse"]) - 1.25 / 3) < 1e-12)
    let constant = try folder.write(
      String(repeating: "{\"prediction\": 1}\n", count: 3), to: "constant.jsonl"
    ).path
    let undefined = try CommandRunner.run(
      ["score", "--predictions", constant, "--data", data, "--metrics", "pearson", "--json"])
    #expect(undefined.output.contains("\"pearson\":null"), "\(undefined.output)")
  }

  @Test func scoresThatCannotBe() throws {
    let data = try folder.write("{\"label\": 1}\n{\"target\": \"t\"}\n", to: "d.jsonl").path
    func predictions(_ text: String) throws -> String { try folder.write(text, to: "p.jsonl").path }
    for (text, metrics, culprit) in [
      ("{\"prediction\": 1}\n", "accuracy", "1 predictions for the 2 examples"),
      ("{\"prediction\": 1}\n{\"answer\": 1}\n", "accuracy", "p.jsonl:2: field 'prediction' is missing"),
      ("{\"prediction\": \"x\"}\n{\"prediction\": 1}\n", "mse", "p.jsonl:1: the prediction 'x' is no number"),
      ("{\"prediction\": 2}\n{\"prediction\": 1}\n", "mse", "d.jsonl:2: field 'label' is 't', no number"),
      ("{\"prediction\": 1}\n{\"prediction\": 1}\n", "blec", "d.jsonl:1: field 'logic' is missing"),
      ("{\"prediction\": 1}\n{\"prediction\": 1}\n", "f2", "f2"),
      ("{\"prediction\": 1}\n{\"prediction\": 1}\n", "loss", "needs a model"),
    ] {
      let result = try CommandRunner.run(
        ["score", "--predictions", predictions(text), "--data", data, "--metrics", metrics])
      #expect(result.status == 2 && result.errorLines.count == 1, "\(metrics): \(result.errors)")
      #expect(result.errors.contains(culprit), "\(result.errors)")
    }
  }

  @Test func aTaskIsTrainedAndRemembered() throws {
    let data = try rows()
    let output = folder.file("run").path
    let arguments = ["train", "--device", "cpu", "--model", model, "--data", data, "--prompt-length", "3"]
    let dry = try CommandRunner.run(
      arguments + ["--preset", "superglue/rte", "--examples-per-label", "4", "--seed", "3", "--dry-run", "--json"])
    #expect(dry.status == 0, "\(dry.errors)")
    let facts = try #require(try json(dry.output)["data"] as? [String: Any])
    let lines = try #require(facts["lines"] as? [Int])
    // Every third row, from the first, is an entailment.
    #expect(facts["labels"] as? [String] == ["entailment", "not_entailment"])
    #expect(lines.count == 8 && lines.count { $0 % 3 == 1 } == 4, "\(lines)")

    let run = try CommandRunner.run(
      arguments + ["--preset", "superglue/rte", "--output", output, "--steps", "2", "--batch-size", "4"])
    #expect(run.status == 0, "\(run.errors)")
    let settings = try String(contentsOf: URL(fileURLWithPath: output + "/softprompt.json"), encoding: .utf8)
    #expect(settings.contains("sentence1: {premise} sentence2: {hypothesis} {mask}"))
    let remembered = try CommandRunner.run(
      ["evaluate", "--device", "cpu", "--model", model, "--adapter", output, "--data", data, "--json"])
    let named = try CommandRunner.run(
      [
        "evaluate", "--device", "cpu", "--model", model, "--adapter", output, "--data", data, "--json", "--preset",
        "superglue/rte",
      ])
    #expect(remembered.status == 0 && remembered.output == named.output, "\(remembered.errors)")
    // What the preset is judged by.
    let metrics = try #require(try json(remembered.output)["metrics"] as? [String: Any])
    #expect(metrics.keys.sorted() == ["accuracy", "loss", "perplexity"])

    let few = try CommandRunner.run(arguments + ["--output", output + "2", "--examples-per-label", "5"])
    #expect(few.status == 2 && few.errors.contains("'input'"), "\(few.errors)")
    let many = try CommandRunner.run(
      arguments + ["--output", output + "2", "--preset", "superglue/rte", "--examples-per-label", "5"])
    #expect(many.status == 2 && many.errors.contains("'entailment'") && many.errors.contains("not_entailment 8"))
    #expect(!FileManager.default.fileExists(atPath: output + "2"))
  }

  @Test func aMixtureGoesOnAsIfNothingHadHappened() throws {
    func file(_ name: String, _ count: Int) throws -> String {
      try folder.write(
        (0..<count).map { "{\"input\": \"\(name) \($0)\", \"target\": \"t\"}\n" }.joined(), to: "\(name).jsonl"
      ).path
    }
    let mix = ["--mix", "\(try file("a", 5))=1", "\(try file("b", 9))=2.5"]
    func train(_ name: String, _ steps: Int, _ more: [String] = []) throws -> CommandResult {
      try CommandRunner.run(
        ["train", "--device", "cpu", "--model", model, "--output", folder.file(name).path, "--prompt-length", "2"]
          + ["--steps", String(steps), "--batch-size", "2", "--log-every", "1"] + mix + more)
    }
    let whole = try train("whole", 9)
    #expect(whole.status == 0, "\(whole.errors)")
    #expect(try train("parts", 4).status == 0)
    let rest = try train("parts", 9, ["--resume"])
    #expect(rest.status == 0, "\(rest.errors)")
    for name in ["adapter_model.safetensors"] {
      let one = try Data(contentsOf: folder.file("whole").appendingPathComponent(name))
      #expect(try Data(contentsOf: folder.file("parts").appendingPathComponent(name)) == one)
    }
  }

  @Test func aTypedLineIsTheOnlyField() throws {
    let arguments = ["generate", "--device", "cpu", "--model", model, "--max-new-tokens", "2", "--input", "x"]
    let one = try CommandRunner.run(arguments + ["--template", "say {text}"])
    #expect(one.status == 0, "\(one.errors)")
    let plain = try CommandRunner.run(
      ["generate", "--device", "cpu", "--model", model, "--max-new-tokens", "2", "--input", "say x"])
    #expect(one.output == plain.output)
    let two = try CommandRunner.run(arguments + ["--template", "{a} {b}"])
    #expect(two.status == 2 && two.errors.contains("a, b"), "\(two.errors)")
  }
}
