import ArgumentParser
import Evaluation
import Foundation
import LanguageModels
import PromptTuning
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

  @Option(
    help: ArgumentHelp(
      "Examples as JSON Lines with 'input' and 'target' or 'targets', or what the head reads.", valueName: "file"))
  var data: String

  @Option(
    help: ArgumentHelp(
      """
      A list of: \(EvaluationMetric.allCases.map(\.rawValue).joined(separator: ", ")) (default: loss, and those of \
      the task's preset, else accuracy for labels, entity-f1 too where they mark entities of words, and mse and pearson \
      for values).
      """, valueName: "list"))
  var metrics: String?

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
    let chosen = try metrics.map { try EvaluationMetric.list($0) }
    guard show >= 0 else { throw ValidationError("--show cannot be negative") }
    guard show == 0 || !json else { throw ValidationError("--show does not go with --json") }
    try checkShow(chosen ?? [.bleu])
    var options = EvaluatorOptions(batchSize: batchSize, decoding: try decoding.options(batchSize: batchSize))
    try options.validate()
    let output = predictions.map { URL(fileURLWithPath: $0) }
    // Whether the file can be written is better known before the work than after it.
    if let output { _ = try AtomicFile(output) }
    let tuned = try TunedModel(tuned, on: try deviceOptions.open())
    options.memberCount = tuned.memberCount
    var task = tuned.task
    let examples = try ExampleFile.read(data, for: &task)
    try tuned.prepare(examples)
    let answers = type(of: tuned.taskModel.head).answers
    try EvaluationMetric.check(chosen ?? [], ofWords: answers == .labels)
    guard answers == .text else {
      return try evaluateAnswers(
        tuned, examples, chosen ?? Self.metrics(of: answers, task), task, options, output)
    }
    let metrics = try chosen ?? Self.metrics(of: answers, task)
    try checkShow(metrics)
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

  private func checkShow(_ metrics: [EvaluationMetric]) throws {
    guard show == 0 || metrics.contains(where: \.needsText) else {
      throw ValidationError("--show needs a metric of generated text (such as bleu)")
    }
  }

  /// The metrics where nobody chose any: the loss, and what the task is judged by.
  private static func metrics(of answers: HeadAnswers, _ task: TaskFormat?) throws -> [EvaluationMetric] {
    if let preset = task?.preset {
      return [.loss] + (try EvaluationMetric.list(Preset.named(preset).metrics.joined(separator: ",")))
    }
    return switch answers {
    case .text: [.loss]
    case .label: [.loss, .accuracy]
    case .labels: [.loss] + EvaluationMetric.defaults(ofLabels: task?.labels ?? [])
    case .value: [.loss, .meanSquaredError, .pearson]
    }
  }

  /// Evaluates a head that answers with labels or values.
  private func evaluateAnswers(
    _ tuned: TunedModel, _ examples: [Example], _ metrics: [EvaluationMetric], _ task: TaskFormat?,
    _ options: EvaluatorOptions, _ output: URL?
  ) throws {
    let format = task ?? TaskFormat()
    let evaluator = try AnswerEvaluator(
      model: tuned.taskModel, encoder: tuned.encoder,
      templates: try format.inferenceTemplate.places(of: tuned.encoder.templateCount), options: options)
    let result = try evaluator.evaluate(examples, metrics: metrics, task: format)
    if let output { try AnswerRow.write(result.rows, to: output) }
    if result.cutExamples > 0 {
      DeviceSelection.standardErrorNotice(
        "\(result.cutExamples) of \(result.report.examples) examples were cut to fit")
    }
    if json { return try Output.json(result.report) }
    let values = result.report.metrics.sorted { $0.key < $1.key }
    Output.table(
      ["metric", "value"],
      [["examples", String(result.report.examples)]]
        + values.map { [$0.key, $0.value.map { String(format: "%.6g", $0) } ?? "undefined"] })
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
