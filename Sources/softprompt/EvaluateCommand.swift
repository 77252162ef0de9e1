import ArgumentParser
import Evaluation
import Foundation
import LanguageModels
import Training

/// `softprompt evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Score a model, with or without an adapter, on examples with targets.",
    discussion: """
      loss and perplexity score the first target of each example, its end token included. The other metrics compare
      generated text with the targets.
      """)

  @OptionGroup var tuned: TunedModelArguments

  @Option(help: ArgumentHelp("Examples as JSON Lines with 'input' and 'target' or 'targets'.", valueName: "file"))
  var data: String

  @Option(
    help: ArgumentHelp(
      "A list of: \(EvaluationMetric.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "list"))
  var metrics = "loss"

  @Option(
    help: ArgumentHelp(
      "Write a line for each example, in order: its loss and tokens, its prediction and targets.", valueName: "file"))
  var predictions: String?

  @Option(help: "Also print so many predictions beside their inputs and what people wrote.")
  var show = 0

  @Option(help: "Examples that are computed at a time; changes no result.")
  var batchSize = 32

  @OptionGroup(title: "Decoding") var decoding: DecodingArguments
  @OptionGroup(title: "Device") var deviceOptions: DeviceOptions

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  func run() throws {
    let metrics = try EvaluationMetric.list(metrics)
    guard show >= 0 else { throw ValidationError("--show cannot be negative") }
    guard show == 0 || (!json && metrics.contains { $0.needsText }) else {
      throw ValidationError("--show needs a metric of generated text (such as bleu), and does not go with --json")
    }
    let options = EvaluatorOptions(batchSize: batchSize, decoding: try decoding.options(batchSize: batchSize))
    try options.validate()
    var task = try tuned.taskFormat()
    let examples = try ExampleFile.read(data, for: &task)
    let output = predictions.map { URL(fileURLWithPath: $0) }
    // Whether the file can be written is better known before the work than after it.
    if let output { _ = try AtomicFile(output) }
    let tuned = try TunedModel(tuned, on: try deviceOptions.open())
    let evaluator = try Evaluator(promptedModel: tuned.promptedModel, encoder: tuned.encoder, options: options)
    let result = try evaluator.evaluate(examples, metrics: metrics, task: task)
    if let output { try PredictionRow.write(result.rows, to: output) }
    tell(result)
    if json { return try Output.json(result.report) }
    let values = result.report.metrics.sorted { $0.key < $1.key }
    Output.table(
      ["metric", "value"],
      [["examples", String(result.report.examples)]]
        + values.map { [$0.key, $0.value.map { String(format: "%.6g", $0) } ?? "undefined"] })
    for (example, row) in zip(examples, result.rows).prefix(show) {
      print("\ninput       \(example.input)")
      print("prediction  \(row.prediction ?? "")")
      print("reference   \(example.targets.first ?? "")")
    }
  }

  /// What the reader of the figures should know, on standard error.
  private func tell(_ result: EvaluationResult) {
    if result.cutExamples > 0 {
      DeviceSelection.standardErrorNotice(
        "\(result.cutExamples) of \(result.report.examples) examples were cut to fit: "
          + "\(result.cutDemonstrations) demonstrations and \(result.cutInputTokens) tokens of inputs left out")
    }
    if result.endedAtLastPosition > 0 {
      DeviceSelection.standardErrorNotice(
        "\(result.endedAtLastPosition) predictions end at the model's last position")
    }
    if result.endedAtTokenLimit > 0 {
      DeviceSelection.standardErrorNotice(
        "\(result.endedAtTokenLimit) predictions end at --max-new-tokens \(decoding.maxNewTokens)")
    }
  }
}
