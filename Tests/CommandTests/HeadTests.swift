import Foundation
import LanguageModels
import TestSupport
import Testing

/// Heads on the command line: what is trained, written, and read again.
@Suite struct HeadTests {
  /// A tiny BERT with a masked-language-model head, data with labels and values, and a pool of templates.
  private struct Setting {
    let folder: TemporaryFolder

    init() throws {
      folder = try TemporaryFolder()
      let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "it", "was", "plot", ".", "so"]
      try FileManager.default.createDirectory(at: folder.file("bert"), withIntermediateDirectories: true)
      try folder.write(words.joined(separator: "\n") + "\n", to: "bert/vocab.txt")
      try folder.write(
        """
        {"tokenizer_class": "BertTokenizer", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
         "pad_token": "[PAD]", "mask_token": "[MASK]", "do_lower_case": true}
        """, to: "bert/tokenizer_config.json")
      try folder.write(
        """
        {"model_type": "bert", "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3,
         "intermediate_size": 16, "vocab_size": \(words.count), "max_position_embeddings": 24, "initializer_range": 0.4}
        """, to: "bert/config.json")
      let configuration = try ModelDirectory(folder.file("bert")).configuration
      let model = try ModelDirectory.initialize(configuration, seed: 3, on: try Backends.cpu.make())
      try ModelDirectory.save(
        model, configuration: configuration, companions: folder.file("bert"), to: folder.file("bert"))
      let texts = ["good film", "bad film", "so good", "so bad plot", "good plot", "it was bad", "film was good ."]
      try folder.write(
        texts.map { "{\"text\": \"\($0)\", \"label\": \($0.contains("good") ? 1 : 0)}\n" }.joined(), to: "labels.jsonl")
      try folder.write(
        texts.map { "{\"text\": \"\($0)\", \"label\": \(Double($0.count) / 4)}\n" }.joined(), to: "values.jsonl")
      try folder.write("{text} . it was {mask}\n{mask} film . {text}\n", to: "pool.txt")
    }

    func path(_ name: String) -> String { folder.file(name).path }

    func run(_ arguments: [String]) throws -> CommandResult { try CommandRunner.run(arguments + ["--device", "cpu"]) }

    func train(_ output: String, _ arguments: [String], on data: String = "labels.jsonl") throws -> CommandResult {
      try run(
        [
          "train", "--model", path("bert"), "--data", path(data), "--validation", path(data), "--output", path(output),
          "--batch-size", "3", "--learning-rate", "0.01", "--steps", "4",
        ] + arguments)
    }

    func evaluate(_ arguments: [String], _ data: String = "labels.jsonl") throws -> (
      report: [String: Any], rows: [[String: Any]]
    ) {
      let result = try run(
        ["evaluate", "--data", path(data), "--json", "--predictions", path("predictions.jsonl")] + arguments)
      try #require(result.status == 0, "\(result.errors)")
      let report = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
      let lines = try String(contentsOf: folder.file("predictions.jsonl"), encoding: .utf8).split(separator: "\n")
      return (
        try #require(report?["metrics"] as? [String: Any]),
        try lines.map { try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]) }
      )
    }

    func scores(_ rows: [[String: Any]]) throws -> [[Double]] {
      try rows.map { try #require($0["scores"] as? [Double]) }
    }

    /// The last line of a run's log that has a validation.
    func validation(_ output: String) throws -> [String: Any] {
      let lines = try String(contentsOf: folder.file("\(output)/metrics.jsonl"), encoding: .utf8).split(separator: "\n")
      let line = try #require(lines.last { $0.contains("validation_loss") })
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }

  private static let template = ["--template", "{text}"]

  /// What a run's last validation says is what evaluate finds with the files that it wrote.
  @Test(arguments: [
    ["--method", "fine-tuning"], ["--method", "fine-tuning", "--head-token", "mean"],
    ["--head", "classifier", "--prompt-length", "2"],
    ["--head", "classifier", "--head-token", "last", "--prompt-length", "2"],
    ["--head", "classifier", "--prompt", "none"],
    ["--head", "classifier", "--head-dropout", "0.4", "--prompt-length", "2"],
    ["--method", "p-tuning-v2", "--prompt-length", "2"],
    ["--method", "prefix-tuning", "--prompt-length", "2", "--reparameterization-width", "5"],
    ["--method", "p-tuning", "--prompt-length", "2"],
    ["--method", "dynamic", "--prompt-length", "3", "--prompt-init", "labels"],
    ["--method", "dynamic", "--position", "task", "--prompt-length", "3", "--prompt", "pool"],
    ["--method", "dynamic", "--length", "instance", "--prompt-length", "3"],
    ["--method", "prompt-tuning", "--position", "1", "--prompt-length", "3", "--head-token", "last"],
  ]) func evaluateSeesWhatTrainingSaw(_ arguments: [String]) throws {
    let setting = try Setting()
    let trained = try setting.train("run", arguments + Self.template)
    try #require(trained.status == 0, "\(trained.errors)")
    let last = setting.path("run/last")
    let isModel = arguments.contains("fine-tuning")
    let (report, rows) = try setting.evaluate(
      isModel ? ["--model", last] : ["--model", setting.path("bert"), "--adapter", last])
    let validation = try setting.validation("run")
    let difference = try #require(report["loss"] as? Double) - #require(validation["validation_loss"] as? Double)
    guard abs(difference) <= 1e-5 else {
      Issue.record("evaluate's loss differs from the validation's by \(difference)")
      return
    }
    #expect(report["accuracy"] as? Double == validation["accuracy"] as? Double)
    let scores = try setting.scores(rows)
    for (row, scores) in zip(rows, scores) {
      #expect(row["prediction"] as? Int == (scores[1] > scores[0] ? 1 : 0))
      #expect(row["label"] as? Int != nil)
    }
  }

  /// The highest accuracy is kept, of equal ones that with the lowest loss.
  @Test func theBestStateIsChosenByAccuracy() throws {
    let setting = try Setting()
    let arguments =
      ["--head", "classifier", "--prompt-length", "2", "--validate-every", "1", "--learning-rate", "0.3"]
      + Self.template
    let run = try setting.train("run", arguments + ["--best-metric", "accuracy"])
    try #require(run.status == 0, "\(run.errors)")
    let lines = try String(contentsOfFile: setting.path("run/metrics.jsonl"), encoding: .utf8).split(separator: "\n")
    let validations = try lines.compactMap {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }.filter { $0["validation_loss"] != nil }
    let best = try #require(
      validations.max {
        func key(_ line: [String: Any]) -> (Double, Double) {
          (line["accuracy"] as? Double ?? -1, -(line["validation_loss"] as? Double ?? .infinity))
        }
        return key($0) < key($1)
      })
    let kept = try #require(
      try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: setting.path("run/best/best.json"))))
        as? [String: Any])
    #expect(kept["step"] as? Int == best["step"] as? Int && kept["score"] as? Double == best["accuracy"] as? Double)
    for (metric, reason) in [("pearson", "accuracy"), ("bleu", "must be one of")] {
      let refused = try setting.train("other", arguments + ["--best-metric", metric])
      #expect(refused.status == 2 && refused.errors.contains(reason), "\(refused.errors)")
    }
  }

  /// Fine-tuning starts from the classifier that a checkpoint holds.
  @Test func fineTuningGoesOnFromTheCheckpointsClassifier() throws {
    let setting = try Setting()
    try #require(setting.train("first", ["--method", "fine-tuning"] + Self.template).status == 0)
    let again = try setting.run(
      [
        "train", "--model", setting.path("first/last"), "--method", "fine-tuning", "--data",
        setting.path("labels.jsonl"), "--validation", setting.path("labels.jsonl"), "--output", setting.path("second"),
        "--steps", "1", "--learning-rate", "0", "--seed", "9",
      ] + Self.template)
    try #require(again.status == 0, "\(again.errors)")
    let (before, after) = (try setting.validation("first"), try setting.validation("second"))
    let difference = try #require(before["validation_loss"] as? Double) - #require(after["validation_loss"] as? Double)
    #expect(abs(difference) <= 1e-5)
    let configuration = try String(contentsOf: setting.folder.file("second/config.json"), encoding: .utf8)
    #expect(configuration.contains("BertForSequenceClassification") && configuration.contains("id2label"))
  }

  /// A run that stops and goes on ends with the bits of one that does not, its head included.
  @Test(arguments: [["--method", "dynamar"], ["--head", "classifier", "--prompt-length", "2"]])
  func resumptionIsExact(_ arguments: [String]) throws {
    let setting = try Setting()
    let pool = ["--template-file", setting.path("pool.txt")]
    try #require(setting.train("whole", arguments + pool).status == 0)
    let stopped = try setting.train("parts", arguments + pool + ["--time-limit", "0.000001"])
    try #require(stopped.status == 0, "\(stopped.errors)")
    let resumed = try setting.train("parts", arguments + pool + ["--resume"])
    try #require(resumed.status == 0, "\(resumed.errors)")
    for name in ["model.safetensors", "head.safetensors", "adapter_model.safetensors"] {
      let (one, other) = (setting.folder.file("whole/last/\(name)"), setting.folder.file("parts/last/\(name)"))
      guard FileManager.default.fileExists(atPath: one.path) else { continue }
      #expect(try Data(contentsOf: one) == Data(contentsOf: other), "\(name)")
    }
  }

  @Test func dynamarAveragesItsTemplates() throws {
    let setting = try Setting()
    let trained = try setting.train("run", ["--method", "dynamar", "--template-file", setting.path("pool.txt")])
    try #require(trained.status == 0, "\(trained.errors)")
    #expect(FileManager.default.fileExists(atPath: setting.path("run/head.safetensors")))
    func scores(_ template: String?) throws -> [[Double]] {
      try setting.scores(
        try setting.evaluate(
          ["--model", setting.path("run")] + (template.map { ["--inference-template", $0] } ?? [])
        ).rows)
    }
    let (first, second, average) = (try scores("1"), try scores("2"), try scores("average"))
    #expect(first != second)
    #expect(try scores(nil) == first)
    for (place, row) in average.enumerated() {
      for (label, score) in row.enumerated() {
        #expect(abs(score - (first[place][label] + second[place][label]) / 2) <= 1e-5)
      }
    }
    let outside = try setting.run([
      "evaluate", "--model", setting.path("run"), "--data", setting.path("labels.jsonl"), "--inference-template", "3",
    ])
    #expect(outside.status == 2 && outside.errors.contains("2 templates"), "\(outside.errors)")
  }

  @Test func aRegressorAnswersWithNumbers() throws {
    let setting = try Setting()
    let trained = try setting.train(
      "run", ["--head", "regressor", "--prompt-length", "2"] + Self.template, on: "values.jsonl")
    try #require(trained.status == 0, "\(trained.errors)")
    let validation = try setting.validation("run")
    #expect(validation["pearson"] as? Double != nil && validation["accuracy"] == nil)
    let (report, rows) = try setting.evaluate(
      [
        "--model", setting.path("bert"), "--adapter", setting.path("run/last"), "--metrics",
        "loss,mse,pearson,spearman",
      ],
      "values.jsonl")
    let loss = try #require(report["loss"] as? Double)
    #expect(try abs(loss - #require(validation["validation_loss"] as? Double)) <= 1e-4 * max(1, loss))
    #expect(try abs(loss - #require(report["mse"] as? Double)) <= 1e-5 * max(1, loss))
    #expect(rows.allSatisfy { $0["prediction"] is Double && $0["label"] is Double && $0["scores"] == nil })
  }

  @Test func aVerbalizerNeedsNoTraining() throws {
    let setting = try Setting()
    let words = ["--label-words", "bad,good", "--template", "{text} . it was {mask} ."]
    let zero = try setting.evaluate(
      ["--model", setting.path("bert"), "--head", "verbalizer", "--labels", "0,1"] + words)
    #expect(try setting.scores(zero.rows).allSatisfy { $0.count == 2 })
    let trained = try setting.train("run", ["--head", "verbalizer", "--prompt-length", "2"] + words)
    try #require(trained.status == 0, "\(trained.errors)")
    let tuned = try setting.evaluate(["--model", setting.path("bert"), "--adapter", setting.path("run/last")])
    let expected = try #require(try setting.validation("run")["validation_loss"] as? Double)
    #expect(try abs(#require(tuned.report["loss"] as? Double) - expected) <= 1e-5)
    let settings = try String(contentsOf: setting.folder.file("run/softprompt.json"), encoding: .utf8)
    #expect(settings.contains("wordTokens") && settings.contains("good"))
  }

  @Test(arguments: [
    (["--method", "dynamar", "--template", "{text}"], "no {mask}"),
    (["--head", "verbalizer", "--template", "{text}", "--label-words", "bad,good"], "no {mask}"),
    (["--head", "verbalizer", "--template", "{text} {mask}", "--label-words", "bad,bad"], "same token"),
    (["--head", "verbalizer", "--head-token", "first", "--template", "{text} {mask}"], "--head-token"),
    (["--head", "verbalizer", "--head-dropout", "0.1", "--template", "{text} {mask}"], "--head-dropout"),
    (["--head", "regressor", "--template", "{text}", "--labels", "0,1"], "learns numbers"),
    (["--head", "classifier", "--template", "{text}", "--labels", "1,2"], "labels.jsonl:2: field 'label'"),
    (["--head", "classifier", "--template", "{text}", "--label-words", "bad,good"], "verbalizer"),
    (["--head", "language-model", "--template", "{text}"], "is an encoder"),
    (["--head", "mask", "--template", "{text}"], "head"),
    (["--head", "classifier", "--template", "{text}", "--trainable", "none"], "would stay random"),
  ]) func whatMakesNoSenseIsRefused(_ arguments: [String], _ reason: String) throws {
    let setting = try Setting()
    let result = try setting.train("run", arguments)
    #expect(result.status == 2 && result.errors.contains(reason), "\(result.errors)")
    #expect(!FileManager.default.fileExists(atPath: setting.path("run")))
  }
}
