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
      The predictions are JSON Lines with a key 'prediction', one for each example of the data, in the same order.
      """)

  @Option(help: ArgumentHelp("JSON Lines with 'prediction'.", valueName: "file"))
  var predictions: String

  @Option(
    help: ArgumentHelp("The examples: 'target' or 'targets', or 'label'; 'logic' for blec.", valueName: "file"))
  var data: String

  @Option(
    help: ArgumentHelp(
      """
      A list of: \(EvaluationMetric.allCases.filter(\.needsText).map(\.rawValue).joined(separator: ", ")) (default: \
      the preset's, else exact-match).
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
    let names = metrics ?? preset?.metrics.joined(separator: ",") ?? EvaluationMetric.exactMatch.rawValue
    let metrics = try EvaluationMetric.list(names)
    if let metric = metrics.first(where: \.needsLoss) {
      throw ValidationError("--metrics \(metric.rawValue) needs a model: `softprompt evaluate` computes it")
    }
    let task = preset?.format
    let examples = try ExampleFile.rows(data, task?.rows ?? .fields)
    let rows = try PredictionFile.read(predictions)
    guard rows.count == examples.count else {
      throw EvaluationError.badAnswer(
        place: predictions, reason: "\(rows.count) predictions for the \(examples.count) examples of \(data)")
    }
    let answers = ScoredAnswers(
      rows.map(\.prediction), for: examples, task: task, places: rows.map(\.source.description))
    var values: [String: Double?] = [:]
    for metric in metrics { values.updateValue(try metric.value(of: answers), forKey: metric.rawValue) }
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
