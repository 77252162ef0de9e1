import Compute
import Foundation
import LanguageModels
import PromptTuning
import Training

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What `train` and `pretrain` do once everything is loaded: a dry run, or a run from its header to its end.
struct TrainingSession {
  let configuration: RunConfiguration
  let options: TrainingOptions
  let task: TaskModel
  let data: any TrainingData
  let validation: (any TrainingData)?
  let files: any TrainedFiles
  /// Nil in a dry run.
  let folder: RunFolder?
  let modelName: String
  let dataDescription: String
  let validationDescription: String?
  let dryRunData: DryRunReport.Data
  /// The labels that a head answers with; empty for text and values.
  var labels: [String] = []
  let json: Bool
  var profile: RunProfile?

  /// - Throws: `Exit.Interrupted` after an interrupt; errors of the run.
  func run() throws {
    let trainer = Trainer(task, data: data, validation: validation, options: options)
    trainer.extraMetrics = { try AnswerMetrics.fields($0, labels: labels) }
    guard let folder else {
      let report = try trainer.dryRun(task, model: modelName, data: dryRunData)
      if json { try Output.json(report) } else { print(report.lines.joined(separator: "\n")) }
      return
    }
    if let state = try folder.resumableState() { try trainer.check(state, in: folder) }
    let style: ProgressReporter.Style = json ? .json : isatty(STDOUT_FILENO) == 1 ? .live : .lines
    let backend = task.backend
    let reporter = ProgressReporter(
      style, memory: { backend.memory }, write: { Output.write(Data($0.utf8)) },
      warn: DeviceSelection.standardErrorNotice)
    reporter.show(
      RunHeader(
        task, model: modelName, data: dataDescription, validation: validationDescription, options: options,
        totalSteps: trainer.totalSteps))
    Interrupts.catchSignals()
    trainer.isInterrupted = { Interrupts.isPending }
    trainer.onEvent = { reporter.show($0) }
    trainer.profile = profile?.backend.profile
    let outcome = try trainer.run(in: folder, files: files, configuration: configuration.yaml)
    reporter.finish(outcome, output: folder.url.path)
    try profile?.finish(in: folder.url, showsTable: !json)
    if outcome.reason == .interrupted { throw Exit.Interrupted() }
  }
}
