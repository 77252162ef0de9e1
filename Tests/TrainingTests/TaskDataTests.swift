import Foundation
import PromptTuning
import TestSupport
import Testing

@testable import Training

@Suite struct TaskDataTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func message(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch { return "\(error)" }
  }

  /// A run does not go on with other labels than those that it began with.
  @Test func labelsBelongToTheFingerprint() throws {
    func fingerprint(_ labels: [String]) throws -> UInt32 {
      let rows = labels.map { "{\"input\": \"a\", \"label\": \"\($0)\"}\n" }.joined()
      var task: TaskFormat? = TaskFormat(labels: ["no", "yes"])
      let examples = try ExampleFile.read(try folder.write(rows, to: "rows.jsonl").path, for: &task)
      var encoder = try ExampleEncoder(
        codec: TextCodec(tokenizer: ByteTokenizer(), facts: TinyModel.facts()), template: PlainTemplate(),
        truncation: [], maximumPositions: nil, promptLength: 0)
      encoder.answers = try AnswerSource(.label, task)
      return try EncodedExamples(examples, encoder: encoder).fingerprint
    }
    let first = try fingerprint(["no", "yes", "yes"])
    #expect(try fingerprint(["no", "yes", "yes"]) == first)
    #expect(try fingerprint(["yes", "no", "yes"]) != first)
  }

  @Test func rowsOfAnyShape() throws {
    let text = """
      {"text": "caf\\u00e9", "n": 1.50, "yes": true, "none": null, "list": [1], "in": {"er": {"x": -2e3}}, "label": false}
      {"input": "i", "target": "t", "label": 3}
      {"input": "i", "targets": ["t", "u"], "label": 3.0}

      """
    let path = try folder.write(text, to: "rows.jsonl").path
    let rows = try ExampleFile.rows(path, .fields)
    #expect(rows.map(\.source.line) == [1, 2, 3])
    #expect(
      rows[0].fields.texts == ["text": "café", "n": "1.50", "yes": "true", "in.er.x": "-2e3", "label": "false"])
    #expect(
      rows[0].fields.others == ["none": "null", "list": "an array", "in": "an object", "in.er": "an object"])
    #expect(
      rows.map(\.label) == [
        ExampleLabel("false", kind: .boolean), ExampleLabel("3", kind: .integer), ExampleLabel("3.0", kind: .number),
      ])
    #expect(rows.map(\.targets) == [[], ["t"], ["t", "u"]])
  }

  @Test(arguments: [
    (#"{"a": 1,}"#, "not valid JSON"), ("[1]", "not a JSON object"), (#"{"label": [1]}"#, "field 'label' is an array"),
    (#"{"targets": []}"#, "'targets' is empty"), (#"{"targets": [1]}"#, "'targets' is not a list of strings"),
    (#"{"a": 1, "a": 2}"#, "comes twice"),
  ])
  func brokenRows(_ row: String, _ culprit: String) throws {
    let path = try folder.write("{\"a\": 1}\n\(row)\n", to: "rows.jsonl").path
    let error = message { _ = try ExampleFile.rows(path, .fields) }
    #expect(error.hasPrefix("\(path):2: ") && error.contains(culprit), "\(error)")
  }

  @Test func multiRCAnswersAreExamples() throws {
    let row = #"""
      {"idx": 5, "passage": {"text": "P", "questions": [{"question": "Q1", "idx": 7, "answers": [{"text": "A", "idx": 1, "label": 0}, {"text": "B", "idx": 2, "label": 1}]}, {"question": "Q2", "idx": 8, "answers": [{"text": "C", "idx": 3}]}]}}
      {"paragraph": "P", "question": "Q", "answer": "D", "label": 1, "idx": {"paragraph": 1, "question": 2, "answer": 3}}

      """#
    let path = try folder.write(row, to: "multirc.jsonl").path
    let rows = try ExampleFile.rows(path, .answers)
    #expect(rows.map(\.source.line) == [1, 1, 1, 2] && rows.map(\.part) == [0, 1, 2, 0])
    #expect(rows.map { $0.fields.texts["answer"] } == ["A", "B", "C", "D"])
    #expect(rows.map { $0.fields.texts["idx.question"] } == ["7", "7", "8", "2"])
    #expect(rows.map { $0.label?.text } == ["0", "1", nil, "1"])
    #expect(rows[0].fields.texts["paragraph"] == "P" && rows[2].fields.texts["question"] == "Q2")
  }

  @Test func templateFiles() throws {
    let good = try folder.write("{a} {mask}\r\nsay {a!}\n", to: "good.txt").path
    #expect(try TemplateFile.read(good).map(\.source) == ["{a} {mask}", "say {a!}"])
    let empty = try folder.write("", to: "empty.txt").path
    #expect(message { _ = try TemplateFile.read(empty) }.hasPrefix(empty))
    let twice = try folder.write("{a}\n{a} {mask} {mask}\n", to: "twice.txt").path
    #expect(message { _ = try TemplateFile.read(twice) }.hasPrefix("\(twice):2: "))
    let blank = try folder.write("{a}\n\n{b}\n", to: "blank.txt").path
    #expect(message { _ = try TemplateFile.read(blank) }.hasPrefix("\(blank):2: "))
  }

  // MARK: - Few-shot

  private func labelled(_ labels: [String]) throws -> String {
    let rows = labels.enumerated().map { "{\"input\": \"\($0)\", \"label\": \"\($1)\"}\n" }
    return try folder.write(rows.joined(), to: "labels.jsonl").path
  }

  private func configuration(_ values: (inout RunConfiguration) -> Void) -> RunConfiguration {
    var configuration = RunConfiguration()
    values(&configuration)
    return configuration
  }

  @Test func fewExamplesOfEachLabel() throws {
    let labels = (0..<60).map { ["a", "b", "b", "c"][$0 % 4] }
    let path = try labelled(labels)
    var samples: Set<[Int]> = []
    for seed in 0..<5 {
      let data = try TaskData(
        configuration {
          $0.data = [path]
          $0.examplesPerLabel = 4
          $0.options.seed = UInt64(seed)
        })
      #expect(data.examples.count == 12 && data.lines == data.lines.sorted() && Set(data.lines).count == 12)
      for label in ["a", "b", "c"] { #expect(data.examples.count { $0.label?.text == label } == 4) }
      #expect(data.examples.allSatisfy { $0.label?.text == labels[$0.source.line - 1] })
      #expect(data.task?.labels == ["a", "b", "c"])
      samples.insert(data.lines)
    }
    #expect(samples.count == 5)
    let error = message {
      _ = try TaskData(
        configuration {
          $0.data = [path]
          $0.examplesPerLabel = 16
        })
    }
    #expect(error.contains("label 'a'") && error.contains("a 15, b 30, c 15"), "\(error)")
  }

  @Test func optionsStandOverThePreset() throws {
    let preset = try TaskOptions(preset: "superglue/rte", labelWords: ["true", "false"]).format()
    #expect(preset?.labelWords == ["true", "false"] && preset?.labels == ["entailment", "not_entailment"])
    #expect(try TaskOptions().format() == nil)
    #expect(try TaskOptions().format(readsRows: true) == TaskFormat())
    let file = try folder.write("{a} x\n{a} y\n{a} z now\n", to: "pool.txt").path
    let pool = try TaskOptions(templateFile: file, templateCount: 2, inferenceTemplate: "2").format()
    #expect(pool?.templates.count == 2 && pool?.inferenceTemplate == .one(2))
    for wrong in [
      TaskOptions(template: "{a}", templateFile: file), TaskOptions(templateCount: 1),
      TaskOptions(templateFile: file, templateCount: 4), TaskOptions(template: "{a}", inferenceTemplate: "2"),
      TaskOptions(inferenceTemplate: "1"), TaskOptions(preset: "superglue/rte", labels: ["a", "a"]),
      TaskOptions(preset: "superglue/rte", labels: ["a", "b", "c"]), TaskOptions(preset: "nothing"),
    ] {
      #expect(throws: (any Error).self) { try wrong.format() }
    }
  }

  @Test func keysOfAConfigurationFile() throws {
    let yaml = """
      preset: superglue/cb
      labels: [a, b, c]
      label-words: x,y,z
      examples-per-label: 4
      mix: ["one.jsonl=2", "two.jsonl=0.5"]
      template: "{premise} {mask}"
      """
    var configuration = RunConfiguration()
    try configuration.apply(ConfigurationLayer(yaml: folder.write(yaml, to: "run.yaml").path))
    #expect(configuration.labels == ["a", "b", "c"] && configuration.labelWords == ["x", "y", "z"])
    #expect(configuration.mix == ["one.jsonl=2", "two.jsonl=0.5"] && configuration.examplesPerLabel == 4)
    var again = RunConfiguration()
    try again.apply(ConfigurationLayer(yaml: folder.write(configuration.yaml, to: "again.yaml").path))
    #expect(again == configuration)
    #expect(try MixtureEntry(argument: "a=b=3").path == "a=b")
    for wrong in ["a", "=1", "a=", "a=0", "a=-1", "a=x", "a=nan"] {
      #expect(throws: TrainingError.self) { try MixtureEntry(argument: wrong) }
    }
  }

  // MARK: - Mixtures

  @Test func aMixtureFollowsItsWeightsAndEachFileItsOwnOrder() throws {
    var options = TrainingOptions()
    options.batchSize = 7
    options.seed = 9
    let mixture = try Mixture(counts: [30, 70], weights: [3, 1])
    var order = DataOrder(count: 100, mixture: mixture, options: options)
    var drawn: [Int] = []
    for step in 1...(order.stepsPerEpoch * 40) { drawn += order.batches(ofStep: step).joined() }
    #expect(drawn.count == 4000)
    let first = drawn.filter { $0 < 30 }
    // 4,000 draws of 3 to 1: a standard deviation is 27.4; six of them are 165.
    #expect(abs(first.count - 3000) < 165, "\(first.count)")
    // Nothing is seen twice before everything was seen once.
    for start in stride(from: 0, to: first.count - 30, by: 30) {
      #expect(first[start..<start + 30].sorted() == Array(0..<30))
    }
    let second = drawn.filter { $0 >= 30 }
    #expect(second.prefix(70).sorted() == Array(30..<100))
    // A run that goes on anywhere sees what it would have seen.
    for step in [1, 17, 16, 300, 299] {
      var other = DataOrder(count: 100, mixture: mixture, options: options)
      #expect(other.batches(ofStep: step) == order.batches(ofStep: step))
    }
    options.shuffles = false
    var plain = DataOrder(count: 100, mixture: mixture, options: options)
    let inOrder = plain.batches(ofStep: 1).joined().filter { $0 < 30 }
    #expect(inOrder == Array(0..<inOrder.count))
  }

  @Test func filesOfAMixture() throws {
    let one = try folder.write("{\"input\": \"a\", \"target\": \"b\"}\n", to: "one.jsonl").path
    let two = try folder.write(
      "{\"input\": \"c\", \"target\": \"d\"}\n{\"input\": \"e\", \"target\": \"f\"}\n", to: "two.jsonl"
    ).path
    let data = try TaskData(configuration { $0.mix = ["\(one)=1", "\(two)=3"] })
    #expect(data.examples.map(\.input) == ["a", "c", "e"] && data.task == nil)
    #expect(data.mixture?.counts == [1, 2] && data.mixture?.shares == [0.25, 0.75])
    #expect(
      message {
        _ = try TaskData(
          configuration {
            $0.mix = ["\(one)=1"]
            $0.data = [two]
          })
      }.contains("exclude each other"))
    #expect(try TaskData(configuration { $0.data = [one] }).mixture == nil)
  }

  @Test func filesWithTasksOfTheirOwn() throws {
    let rte = try folder.write(
      "{\"premise\": \"p\", \"hypothesis\": \"h\", \"label\": \"entailment\"}\n", to: "rte.jsonl"
    ).path
    let wic = try folder.write(
      "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"word\": \"w\", \"label\": false}\n", to: "wic.jsonl"
    ).path
    let plain = try folder.write("{\"input\": \"a\", \"target\": \"b\"}\n", to: "plain.jsonl").path
    let mix = ["\(rte)=1:superglue/rte", "\(wic)=2:superglue/wic", "\(plain)=1"]
    let data = try TaskData(configuration { $0.mix = mix })
    #expect(data.examples.map(\.input) == ["sentence1: p sentence2: h", "sentence1: a sentence2: b word: w", "a"])
    #expect(data.examples.map(\.targets) == [["yes"], ["no"], ["b"]])
    #expect(data.task == nil && data.mixture?.shares == [0.25, 0.5, 0.25])
    #expect(data.examples.allSatisfy { $0.fields.isEmpty && $0.label == nil })
    #expect(
      message {
        _ = try TaskData(
          configuration {
            $0.mix = mix
            $0.head = .classifier
            $0.prompt = PromptKind.none
            $0.trainable = .all
          })
      }.contains("language-model"))
  }
}
