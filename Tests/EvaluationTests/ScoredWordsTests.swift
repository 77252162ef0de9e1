import Compute
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@testable import Evaluation

/// Metrics of labels of words, against what is worked out by hand.
@Suite struct ScoredWordsTests {
  private static func entities(_ labels: String) throws -> [String] {
    try EntityScores.entities(of: labels.split(separator: " ").map(String.init), place: "f:1").map {
      "\($0.type) \($0.words.lowerBound)-\($0.words.upperBound)"
    }
  }

  /// Columns: labels of a row, its entities as type and first and last word.
  @Test(arguments: [
    ("O O", []), ("B-PER I-PER O B-LOC", ["PER 0-1", "LOC 3-3"]), ("B-PER B-PER", ["PER 0-0", "PER 1-1"]),
    // An I without a B begins an entity, and so does one of another type.
    ("O I-PER I-PER", ["PER 1-2"]), ("B-PER I-LOC I-LOC", ["PER 0-0", "LOC 1-2"]),
    ("I-PER B-PER", ["PER 0-0", "PER 1-1"]),
    ("B-PER O I-PER", ["PER 0-0", "PER 2-2"]),
    // E and S end an entity.
    ("B-A I-A E-A I-A", ["A 0-2", "A 3-3"]), ("S-A S-A E-A E-A", ["A 0-0", "A 1-1", "A 2-2", "A 3-3"]),
    ("B-A E-B", ["A 0-0", "B 1-1"]), ("S-A I-A", ["A 0-0", "A 1-1"]),
    // The type begins behind the first hyphen, and may be missing.
    ("B-x-y I-x-y I-x", ["x-y 0-1", "x 2-2"]), ("B I I-A", [" 0-1", "A 2-2"]),
  ]) func entitiesOfLabels(_ labels: String, _ expected: [String]) throws {
    #expect(try Self.entities(labels) == expected)
  }

  @Test(arguments: ["NN", "PER", "B_PER", "O-PER", "", "b-PER"]) func otherLabelsAreRefused(_ label: String) throws {
    let error = #expect(throws: EvaluationError.self) {
      try EntityScores.entities(of: ["O", label], place: "f:7")
    }
    #expect("\(try #require(error))".hasPrefix("f:7: the label '\(label)' marks no entity"))
    #expect(EvaluationMetric.defaults(ofLabels: ["O", label]) == [.accuracy])
    #expect(EvaluationMetric.defaults(ofLabels: ["O", "B-PER"]) == [.accuracy, .entityF1])
  }

  private static func words(_ rows: [(predicted: String, actual: String)]) throws -> ScoredWords {
    try ScoredWords(
      rows.enumerated().map { number, row in
        ScoredWords.Row(
          predictions: row.predicted.split(separator: " ").map(String.init),
          labels: row.actual.split(separator: " ").map(String.init), place: "f:\(number + 1)")
      })
  }

  @Test func metricsOfWords() throws {
    let words = try Self.words([
      // Predicted: PER 0-1, LOC 3; actual: PER 0-1, LOC 3-4.
      ("B-PER I-PER O B-LOC O", "B-PER I-PER O B-LOC I-LOC"),
      // Predicted: none; actual: LOC 1.
      ("O O", "O B-LOC"),
    ])
    // 5 of 7 words; entities: 1 right, 2 predicted, 3 actual.
    #expect(try EvaluationMetric.accuracy.value(of: words) == 5.0 / 7)
    #expect(try EvaluationMetric.microF1.value(of: words) == 5.0 / 7)
    #expect(try EvaluationMetric.entityF1.value(of: words) == 2.0 / 5)
    // B-PER 1, I-PER 1, O 2 * 2 / (4 + 2), B-LOC 2 * 1 / (1 + 2), I-LOC 0.
    let macro = try #require(try EvaluationMetric.macroF1.value(of: words))
    #expect(abs(macro - (2 + 2.0 / 3 + 2.0 / 3) / 5) < 1e-15)
    // The same place in another row is another entity.
    #expect(try EvaluationMetric.entityF1.value(of: Self.words([("B-A", "O"), ("O", "B-A")])) == 0)
    #expect(try EvaluationMetric.entityF1.value(of: Self.words([("O", "O")])) == nil)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let error = #expect(throws: EvaluationError.self) { try Self.words([("O O", "O")]) }
    #expect("\(try #require(error))" == "f:1: 2 predicted labels for 1 words")
    for metric in EvaluationMetric.allCases where !metric.comparesWords {
      #expect(throws: EvaluationError.self) { try metric.value(of: Self.words([("O", "O")])) }
      #expect(throws: EvaluationError.self) { try EvaluationMetric.check([metric], ofWords: true) }
    }
    #expect(throws: EvaluationError.self) { try EvaluationMetric.check([.loss, .entityF1], ofWords: false) }
    let answers = ScoredAnswers(
      ["O"], for: [Example(input: "", targets: ["O"], source: ExampleSource(file: "f", line: 1))])
    #expect(throws: EvaluationError.self) { try EvaluationMetric.entityF1.value(of: answers) }
  }

  /// Members of an ensemble vote on each word, and their scores are averaged; the loss is the mean over all words.
  @Test(arguments: Backends.available) func membersVoteOnWords(_ device: TestBackend) throws {
    let backend = try device.make()
    let model = try TinyModel.gpt2(on: backend)
    let codec = try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts)
    let labels = ["O", "B-A", "I-A"]
    let head = try Head(rawValue: "token-classifier")?.kind.init(
      HeadRequest(model: model, codec: codec, labels: labels, seed: 3))
    let format = TaskFormat(rows: .words, labels: labels)
    var encoder = try ExampleEncoder(
      codec: codec, template: PlainTemplate(), truncation: [], maximumPositions: nil, promptLength: 2)
    encoder.answers = .wordLabels(format)
    let examples = [["B-A", "O", "I-A"], ["O", "B-A"], ["I-A"]].enumerated().map { number, labels in
      Example(
        input: "", targets: [], source: ExampleSource(file: "f", line: number + 1),
        words: LabeledWords(
          labels.indices.map { "w\(number)\($0)" }, labels: labels.map { ExampleLabel($0, kind: .string) }))
    }
    let prompts = try (0..<3).map {
      try StaticPrompt(
        values: normals(2 * 24, seed: UInt64(70 + $0)), length: 2, width: 24, isTrainable: false, on: backend)
    }
    for parameter in try #require(head).parameters {
      parameter.value = try backend.tensor(normals(parameter.count, seed: 9), parameter.shape)
    }
    func evaluate(_ prompt: any Prompt, members: Int) throws -> AnswerResult {
      var options = EvaluatorOptions(batchSize: 2)
      options.memberCount = members
      let task = TaskModel(PromptedModel(model: model, prompt: prompt), head: try #require(head))
      return try AnswerEvaluator(model: task, encoder: encoder, templates: [0], options: options)
        .evaluate(examples, metrics: [.loss, .accuracy, .entityF1], task: format)
    }
    func scores(_ result: AnswerResult) -> [[Float]] {
      result.rows.flatMap { if case .words(let rows)? = $0.scores { rows } else { [[Float]]() } }
    }
    let single = try prompts.map { scores(try evaluate($0, members: 1)) }
    let together = try evaluate(try EnsemblePrompt(prompts), members: 3)
    let (all, given) = (scores(together), together.rows.flatMap(\.prediction.texts))
    try #require(all.count == 6 && given.count == 6 && single.allSatisfy { $0.count == 6 })
    var losses: [Double] = []
    let answers = [1, 0, 2, 0, 1, 2]
    for word in 0..<6 {
      let mean = (0..<3).map { label in single.reduce(0.0) { $0 + Double($1[word][label]) } / 3 }
      expectClose(all[word], mean, within: 1e-4, .absolute, "word \(word)")
      let votes = single.map { LabelScores.best($0[word]) }
      #expect(given[word] == labels[votes[MajorityVote.winner(votes)]])
      losses.append(LabelScores.loss(all[word], .label(answers[word])))
    }
    let loss = try #require(together.report.metrics["loss"] ?? nil)
    #expect(abs(loss - losses.reduce(0, +) / 6) < 1e-6)
    #expect(together.rows.map(\.label?.texts.count) == [3, 2, 1])
  }
}
