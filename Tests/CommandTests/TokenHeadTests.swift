import Foundation
import LanguageModels
import TestSupport
import Testing

/// Labels of words on the command line: data, training, evaluation, and what is refused.
@Suite struct TokenHeadTests {
  /// A tiny BERT whose vocabulary cuts words into pieces, and sentences with a label for each word.
  private struct Setting {
    let folder: TemporaryFolder

    /// Words with their labels, some of them made of several tokens or none that BERT knows.
    static let rows = [
      "anna/B-PER lives/O in/O oslo/B-LOC ./O", "the/O united/B-LOC kingdom/I-LOC plays/O",
      "anna/B-PER berg/I-PER plays/O chess/O", "oslo/B-LOC is/O in/O norway/B-LOC", "berg/B-PER playing/O",
      "the/O kingdom/B-LOC of/O norway/I-LOC", "chess/O ?!/O",
    ]

    init() throws {
      folder = try TemporaryFolder()
      let words =
        "[PAD] [UNK] [CLS] [SEP] [MASK] anna lives in oslo . the united king ##dom play ##s ##ing berg chess is nor ##way"
        .split(separator: " ")
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
      try folder.write(Self.rows.map(Self.line).joined(), to: "words.jsonl")
    }

    static func line(_ row: String) -> String {
      let pairs = row.split(separator: " ").map { $0.split(separator: "/") }
      let words = pairs.map { "\"\($0[0])\"" }.joined(separator: ", ")
      return "{\"tokens\": [\(words)], \"labels\": [\(pairs.map { "\"\($0[1])\"" }.joined(separator: ", "))]}\n"
    }

    func path(_ name: String) -> String { folder.file(name).path }

    func run(_ arguments: [String]) throws -> CommandResult { try CommandRunner.run(arguments + ["--device", "cpu"]) }

    func train(
      _ output: String, _ arguments: [String], model: String? = nil, on data: String = "words.jsonl"
    ) throws -> CommandResult {
      try run(
        [
          "train", "--model", model ?? path("bert"), "--data", path(data), "--validation", path(data), "--output",
          path(output), "--head", "token-classifier", "--batch-size", "3", "--learning-rate", "0.01", "--steps", "4",
        ] + arguments)
    }

    func json(_ arguments: [String]) throws -> [String: Any] {
      let result = try CommandRunner.run(arguments + ["--json"])
      try #require(result.status == 0, "\(result.errors)")
      let report = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
      return try #require(report?["metrics"] as? [String: Any])
    }

    func evaluate(_ arguments: [String], _ data: String = "words.jsonl") throws -> [String: Any] {
      try json(
        ["evaluate", "--data", path(data), "--device", "cpu", "--predictions", path("predictions.jsonl")] + arguments)
    }

    func rows() throws -> [[String: Any]] {
      try String(contentsOf: folder.file("predictions.jsonl"), encoding: .utf8).split(separator: "\n").map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
    }

    /// The last line of a run's log that has a validation.
    func validation(_ output: String) throws -> [String: Any] {
      let lines = try String(contentsOf: folder.file("\(output)/metrics.jsonl"), encoding: .utf8).split(separator: "\n")
      let line = try #require(lines.last { $0.contains("validation_loss") })
      return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }
  }

  private static func expectSame(_ first: Any?, _ second: Any?) throws {
    let difference = try #require(first as? Double) - #require(second as? Double)
    guard abs(difference) <= 1e-5 else {
      Issue.record("the losses differ by \(difference)")
      return
    }
  }

  /// What a run's last validation says is what evaluate finds with the files that it wrote, and score with its rows.
  @Test(arguments: [
    ["--method", "fine-tuning"], ["--prompt-length", "2"], ["--prompt", "none"],
    ["--method", "p-tuning-v2", "--prompt-length", "2"],
    ["--method", "prefix-tuning", "--prompt-length", "2", "--reparameterization-width", "5"],
    ["--method", "p-tuning", "--prompt-length", "2", "--prompt-init", "labels"],
    ["--method", "dynamic", "--prompt-length", "3"],
    ["--method", "dynamic", "--length", "instance", "--prompt-length", "3", "--prompt", "pool"],
    ["--method", "prompt-tuning", "--position", "1", "--prompt-length", "3"],
  ]) func evaluateSeesWhatTrainingSaw(_ arguments: [String]) throws {
    let setting = try Setting()
    let trained = try setting.train("run", arguments)
    try #require(trained.status == 0, "\(trained.errors)")
    let last = setting.path("run/last")
    let isModel = arguments.contains("fine-tuning")
    let report = try setting.evaluate(
      isModel ? ["--model", last] : ["--model", setting.path("bert"), "--adapter", last])
    let validation = try setting.validation("run")
    try Self.expectSame(report["loss"], validation["validation_loss"])
    let accuracy = try #require(report["accuracy"] as? Double)
    #expect(accuracy == validation["accuracy"] as? Double && report["entity-f1"] != nil)
    let rows = try setting.rows()
    for (row, line) in zip(rows, Setting.rows) {
      let labels = line.split(separator: " ").map { String($0.split(separator: "/")[1]) }
      #expect(row["label"] as? [String] == labels && (row["prediction"] as? [String])?.count == labels.count)
      #expect((row["scores"] as? [[Double]])?.map(\.count) == labels.map { _ in 5 })
    }
    let scored = try setting.json([
      "score", "--data", setting.path("words.jsonl"), "--predictions", setting.path("predictions.jsonl"),
    ])
    #expect(scored["accuracy"] as? Double == accuracy)
    #expect(scored["entity-f1"] as? Double == report["entity-f1"] as? Double)
  }

  /// Fine-tuning writes a checkpoint that says itself what its classifier reads.
  @Test func aFineTunedCheckpointStandsAlone() throws {
    let setting = try Setting()
    try #require(try setting.train("first", ["--method", "fine-tuning"]).status == 0)
    let configuration = try String(contentsOf: setting.folder.file("first/config.json"), encoding: .utf8)
    #expect(configuration.contains("BertForTokenClassification") && configuration.contains("\"B-LOC\""))
    let expected = try setting.validation("first")
    try FileManager.default.removeItem(at: setting.folder.file("first/last/softprompt.json"))
    let report = try setting.evaluate(["--model", setting.path("first/last")])
    try Self.expectSame(report["loss"], expected["validation_loss"])
    // It goes on from there, and takes the order of its labels.
    let again = try setting.run([
      "train", "--model", setting.path("first/last"), "--method", "fine-tuning", "--head", "token-classifier", "--data",
      setting.path("words.jsonl"), "--validation", setting.path("words.jsonl"), "--output", setting.path("second"),
      "--steps", "1", "--learning-rate", "0", "--seed", "9",
    ])
    try #require(again.status == 0, "\(again.errors)")
    try Self.expectSame(try setting.validation("second")["validation_loss"], expected["validation_loss"])
  }

  /// PEFT's files hold everything: without softprompt.json the adapter answers the same.
  @Test func anAdapterIsPEFTsOwn() throws {
    let setting = try Setting()
    try #require(try setting.train("run", ["--prompt-length", "2"]).status == 0)
    let configuration = try String(contentsOf: setting.folder.file("run/adapter_config.json"), encoding: .utf8)
    #expect(configuration.contains("TOKEN_CLS") && configuration.contains("\"classifier\""))
    let arguments = ["--model", setting.path("bert"), "--adapter", setting.path("run")]
    let before = try setting.evaluate(arguments)
    try FileManager.default.removeItem(at: setting.folder.file("run/softprompt.json"))
    let labels = ["--labels", "B-LOC,B-PER,I-LOC,I-PER,O"]
    try Self.expectSame(try setting.evaluate(arguments + labels)["loss"], before["loss"])
  }

  @Test func aDecoderReadsWordsToo() throws {
    let setting = try Setting()
    let gpt2 = CommandRunner.fixtures.appendingPathComponent("gpt2").path
    let trained = try setting.train("run", ["--prompt-length", "2"], model: gpt2)
    try #require(trained.status == 0, "\(trained.errors)")
    let report = try setting.evaluate(["--model", gpt2, "--adapter", setting.path("run/last")])
    try Self.expectSame(report["loss"], try setting.validation("run")["validation_loss"])
  }

  /// A run that stops and goes on ends with the bits of one that does not.
  @Test func resumptionIsExact() throws {
    let setting = try Setting()
    let arguments = ["--prompt-length", "2"]
    try #require(try setting.train("whole", arguments).status == 0)
    try #require(try setting.train("parts", arguments + ["--time-limit", "0.000001"]).status == 0)
    let resumed = try setting.train("parts", arguments + ["--resume"])
    try #require(resumed.status == 0, "\(resumed.errors)")
    let name = "last/adapter_model.safetensors"
    #expect(
      try Data(contentsOf: setting.folder.file("whole/\(name)"))
        == Data(contentsOf: setting.folder.file("parts/\(name)"))
    )
  }

  @Test func longRowsAreCutIfAsked() throws {
    let setting = try Setting()
    let row = Array(repeating: "kingdom/B-LOC", count: 12).joined(separator: " ")
    try setting.folder.write(Setting.rows.map(Setting.line).joined() + Setting.line(row), to: "long.jsonl")
    let refused = try setting.train("run", ["--prompt-length", "2"], on: "long.jsonl")
    #expect(
      refused.status == 2 && refused.errors.contains("long.jsonl:8") && refused.errors.contains("needs 26 positions"),
      "\(refused.errors)")
    for end in ["input-start", "input-end"] {
      let trained = try setting.train(end, ["--prompt-length", "2", "--truncate", end], on: "long.jsonl")
      try #require(trained.status == 0, "\(trained.errors)")
      #expect(trained.errors.contains("1 examples were cut"), "\(trained.errors)")
      let report = try setting.evaluate(
        ["--model", setting.path("bert"), "--adapter", setting.path("\(end)/last")], "long.jsonl")
      try Self.expectSame(report["loss"], try setting.validation(end)["validation_loss"])
      // 22 positions hold 10 whole words, and with their first tokens in front the half of another.
      #expect((try setting.rows().last?["prediction"] as? [String])?.count == 10)
    }
  }

  @Test(arguments: [
    ("{\"tokens\": [\"oslo\", \"is\"], \"labels\": [\"O\"]}", "has 1 labels for 2 words"),
    ("{\"input\": \"oslo is\", \"label\": 1}", "the row has 'input', one text"),
    ("{\"words\": [\"oslo\"]}", "field 'tokens' is missing"),
    ("{\"tokens\": \"oslo\", \"labels\": [\"O\"]}", "field 'tokens' is a string"),
    ("{\"tokens\": [\"oslo\", 3], \"labels\": [\"O\", \"O\"]}", "item 2"),
    ("{\"tokens\": [], \"labels\": []}", "field 'tokens' is empty"),
    ("{\"tokens\": [\"oslo\"]}", "field 'labels' is missing"),
    ("{\"tokens\": [\"oslo\"], \"labels\": [null]}", "field 'labels' holds null"),
    ("{\"tokens\": [\"oslo\", \" \"], \"labels\": [\"O\", \"O\"]}", "no token"),
  ]) func badRowsAreNamed(_ line: String, _ reason: String) throws {
    let setting = try Setting()
    try setting.folder.write(Setting.line(Setting.rows[0]) + line + "\n", to: "bad.jsonl")
    let result = try setting.train("run", ["--prompt-length", "2"], on: "bad.jsonl")
    #expect(
      result.status == 2 && result.errorLines.count == 1 && result.errors.contains("bad.jsonl:2")
        && result.errors.contains(reason), "\(result.errors)")
  }

  @Test(arguments: [
    (["--template", "{tokens} {mask}"], "as they are"), (["--preset", "superglue/cb"], "as they are"),
    (["--demonstrations", "fixed"], "demonstrations show a text"), (["--method", "dynamar"], "reads every word"),
    (["--head-token", "first"], "--head-token first"), (["--label-words", "a,b,c,d,e"], "--label-words"),
    (["--labels", "O,B-PER"], "field 'labels' holds 'B-LOC'"), (["--examples-per-label", "1"], "each word has one"),
    (["--trainable", "none", "--prompt", "none"], "would stay random"), (["--head", "token-clasifier"], "head"),
    (["--head", "classifier"], "--head token-classifier reads 'tokens'"), (["--labels", "O"], "two labels"),
  ]) func whatMakesNoSenseIsRefused(_ arguments: [String], _ reason: String) throws {
    let setting = try Setting()
    let result = try setting.train("run", arguments)
    #expect(result.status == 2 && result.errors.contains(reason), "\(result.errors)")
    #expect(!FileManager.default.fileExists(atPath: setting.path("run")))
  }

  @Test func metricsThatMakeNoSenseAreRefused() throws {
    let setting = try Setting()
    try #require(try setting.train("run", ["--method", "fine-tuning"]).status == 0)
    let evaluate = ["evaluate", "--model", setting.path("run"), "--data", setting.path("words.jsonl")]
    let bleu = try setting.run(evaluate + ["--metrics", "bleu"])
    #expect(bleu.status == 2 && bleu.errors.contains("bleu compares one answer"), "\(bleu.errors)")
    try setting.folder.write("{\"prediction\": [\"O\"]}\n", to: "short.jsonl")
    try setting.folder.write(Setting.line(Setting.rows[0]), to: "one.jsonl")
    let short = try CommandRunner.run([
      "score", "--data", setting.path("one.jsonl"), "--predictions", setting.path("short.jsonl"),
    ])
    #expect(
      short.status == 2 && short.errors.contains("short.jsonl:1: 1 predicted labels for 5 words"), "\(short.errors)")
    try setting.folder.write("{\"prediction\": \"O\"}\n", to: "text.jsonl")
    let text = try CommandRunner.run([
      "score", "--data", setting.path("one.jsonl"), "--predictions", setting.path("text.jsonl"), "--metrics",
      "entity-f1",
    ])
    #expect(text.status == 2 && text.errors.contains("entity-f1 compares labels of words"), "\(text.errors)")
    let generated = try setting.run(["generate", "--model", setting.path("run"), "--input", "oslo"])
    #expect(generated.status == 2 && generated.errors.contains("evaluate"), "\(generated.errors)")
  }
}
