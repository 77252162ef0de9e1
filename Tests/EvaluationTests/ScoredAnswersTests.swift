import PromptTuning
import Testing

@testable import Evaluation

@Suite struct ScoredAnswersTests {
  private static func row(
    _ label: String?, kind: ExampleLabel.Kind = .integer, fields: [String: String] = [:], targets: [String] = [],
    line: Int = 1
  ) -> Example {
    Example(
      input: "", targets: targets, source: ExampleSource(file: "gold.jsonl", line: line),
      fields: ExampleFields(fields), label: label.map { ExampleLabel($0, kind: kind) })
  }

  private static func value(
    _ metric: EvaluationMetric, _ predictions: [String], _ rows: [Example], _ task: TaskFormat? = nil
  ) throws -> Double? {
    try metric.value(of: ScoredAnswers(predictions, for: rows, task: task))
  }

  @Test func multiRC() throws {
    // Question 1: both right. Question 2: one of three wrong. Question 2 of another paragraph: all right.
    let gold: [(String, String, String)] = [
      ("0", "1", "1"), ("0", "1", "0"), ("0", "2", "1"), ("0", "2", "0"), ("0", "2", "1"), ("1", "2", "0"),
    ]
    let rows = gold.map { Self.row($0.2, fields: ["idx.paragraph": $0.0, "idx.question": $0.1]) }
    let task = try Preset.named("superglue/multirc").format
    let predictions = ["1", "0", "1", "0", "0", "0"]
    // Said right and right: 2. Said right: 2. Right: 3.
    #expect(try Self.value(.answerF1, predictions, rows, task) == 4.0 / 5)
    #expect(try Self.value(.questionMatch, predictions, rows, task) == 2.0 / 3)
    #expect(try Self.value(.accuracy, predictions, rows, task) == 5.0 / 6)
    // Words name labels.
    let words = predictions.map { $0 == "1" ? " yes\n" : "no" }
    #expect(try Self.value(.answerF1, words, rows, task) == 4.0 / 5)
    // An answer that is no label is wrong.
    #expect(try Self.value(.accuracy, ["maybe", "0", "1", "0", "0", "0"], rows, task) == 4.0 / 6)
    #expect(throws: EvaluationError.self) { try Self.value(.questionMatch, ["1"], [Self.row("1")]) }
    #expect(try Self.value(.answerF1, ["0"], [Self.row("0")]) == nil)
  }

  @Test func f1OfLabels() throws {
    let rows = ["a", "a", "b", "c"].map { Self.row($0, kind: .string) }
    // F1 of a: 2/3, of b: 2/3, of c: 0; d occurs only among the predictions: 0.
    let predictions = ["a", "b", "b", "d"]
    let macro = try #require(try Self.value(.macroF1, predictions, rows))
    #expect(abs(macro - 1.0 / 3) < 1e-15)
    #expect(try Self.value(.microF1, predictions, rows) == 0.5)
  }

  @Test func numbers() throws {
    let rows = ["1", "2.0", "3", "4.5"].map { Self.row($0, kind: .number) }
    let predictions = ["1", "2", "2", " 5 "]
    // Ranks of the predictions: 1, 2.5, 2.5, 4 beside 1, 2, 3, 4: products of differences 4.5, squares 4.5 and 5.
    let spearman = try #require(try Self.value(.spearman, predictions, rows))
    let expectedSpearman = 4.5 / (4.5 * 5.0).squareRoot()
    #expect(abs(spearman - expectedSpearman) < 1e-12)
    let error = try #require(try Self.value(.meanSquaredError, predictions, rows))
    #expect(abs(error - 1.25 / 4) < 1e-15)
    // Means 2.5 and 2.625: products of differences 2.4375 + 0.3125 - 0.1875 + 4.6875, squares 9 and 6.6875.
    let pearson = try #require(try Self.value(.pearson, predictions, rows))
    let expectedPearson = 7.25 / (9 * 6.6875).squareRoot()
    #expect(abs(pearson - expectedPearson) < 1e-12)
    #expect(try Self.value(.pearson, ["1", "1", "1", "1"], rows) == nil)
    let word = #expect(throws: EvaluationError.self) {
      try EvaluationMetric.pearson.value(of: ScoredAnswers(["x"], for: [rows[0]], places: ["p.jsonl:9"]))
    }
    #expect("\(word.map { "\($0)" } ?? "")" == "p.jsonl:9: the prediction 'x' is no number")
    #expect(throws: EvaluationError.self) { try Self.value(.pearson, ["1"], [Self.row("high", kind: .string)]) }
  }

  @Test func exactMatchAsTheTaskComparesIt() throws {
    let rows = [Self.row(nil, targets: ["SELECT a, b FROM t"]), Self.row(nil, targets: ["x", "y"])]
    #expect(try Self.value(.exactMatch, ["select a , b from t", "y"], rows) == 0.5)
    #expect(try Self.value(.exactMatch, ["select a , b from t", "y"], rows, Preset.named("spider").format) == 1)
    #expect(throws: EvaluationError.self) { try Self.value(.exactMatch, ["a"], [Self.row(nil)]) }
  }

  @Test func blecNeedsALogicForm() throws {
    let row = Self.row(nil, fields: ["logic": "eq { count { x } ; 2 }"], targets: ["there are 2"])
    #expect(try Self.value(.blec, ["two"], [row]) == 1)
    let bare = #expect(throws: EvaluationError.self) {
      try Self.value(.blec, ["two"], [Self.row(nil, targets: ["a"], line: 4)])
    }
    #expect("\(bare.map { "\($0)" } ?? "")" == "gold.jsonl:4: field 'logic' is missing")
  }
}
