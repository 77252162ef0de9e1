import ArgumentParser
import Evaluation
import Foundation
import PromptTuning
import Training

/// `softprompt score`.
struct ScoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "score",
    abstract: "Score predictions that lie in a file, without a model.",
    discussion: """
      The predictions are JSON Lines with a key 'prediction', one for each example of the data, in the same order. Where
      it is a list, it has a label for each word of the example's 'tokens'.
      """)

  @Option(help: ArgumentHelp("JSON Lines with 'prediction'.", valueName: "file"))
  var predictions: String

  @Option(
    help: ArgumentHelp(
      "The examples: 'target' or 'targets', or 'label', or 'tokens' and 'labels'; 'logic' for blec.", valueName: "file")
  )
  var data: String

  @Option(
    help: ArgumentHelp(
      """
      A list of: \(EvaluationMetric.allCases.filter(\.needsText).map(\.rawValue).joined(separator: ", ")) (default: \
      the preset's, else exact-match; of lists accuracy, with entity-f1 where they mark entities).
      """, valueName: "list"))
  var metrics: String?

  @Option(
    help: ArgumentHelp(
      "A known task: its metrics, how its answers are compared, its label words.", valueName: "name"))
  var preset: String?

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  func run() throws {
    let preset = try preset.map { try Preset.named($0) }
    let names = metrics ?? preset?.metrics.joined(separator: ",")
    let chosen = try names.map { try EvaluationMetric.list($0) }
    if let metric = chosen?.first(where: \.needsLoss) {
      throw ValidationError("--metrics \(metric.rawValue) needs a model: `softprompt evaluate` computes it")
    }
    let task = preset?.format
    let rows = try PredictionFile.read(predictions)
    let isWords = if case .list = rows[0].prediction { true } else { false }
    try EvaluationMetric.check(chosen ?? [], ofWords: isWords)
    let examples = try ExampleFile.rows(data, isWords ? .words : task?.rows ?? .fields)
    guard rows.count == examples.count else {
      throw EvaluationError.badAnswer(
        place: predictions, reason: "\(rows.count) predictions for the \(examples.count) examples of \(data)")
    }
    let places = rows.map(\.source.description)
    var values: [String: Double?] = [:]
    if isWords {
      let words = try ScoredWords(try rows.map { try $0.list() }, for: examples, places: places)
      for metric in chosen ?? EvaluationMetric.defaults(ofLabels: words.rows.lazy.flatMap(\.labels)) {
        values.updateValue(try metric.value(of: words), forKey: metric.rawValue)
      }
    } else {
      let answers = ScoredAnswers(try rows.map { try $0.text() }, for: examples, task: task, places: places)
      for metric in chosen ?? [.exactMatch] {
        values.updateValue(try metric.value(of: answers), forKey: metric.rawValue)
      }
    }
    let report = EvaluationReport(examples: examples.count, metrics: values)
    if json { return try Output.json(report) }
    Output.table(
      ["metric", "value"],
      [["examples", String(report.examples)]]
        + values.sorted { $0.key < $1.key }.map {
          [$0.key, $0.value.map { String(format: "%.6g", $0) } ?? "undefined"]
        })
  }
}
