import ArgumentParser
import Compute
import Foundation
import LanguageModels
import PromptTuning
import Training

/// `softprompt train`.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Tune a prompt for a frozen model, or the model itself, on examples.",
    discussion: """
      The data is JSON Lines, plain or .gz: {"input": "...", "target": "..."} or {"input": "...", "targets": ["...", \
      ...]}. The output folder receives config.yaml, metrics.jsonl, the states last/ and best/, and in the end the \
      adapter itself, in PEFT's format: `softprompt generate --model DIR --adapter OUTPUT` uses it. Interrupting \
      (Ctrl-C) saves the state; --resume goes on from it.
      """)

  @Option(
    help: ArgumentHelp(
      "The model's directory: config.json, model.safetensors, tokenizer.json.", valueName: "directory"))
  var model: String?

  @Option(help: ArgumentHelp("The examples to train on, .jsonl or .jsonl.gz.", valueName: "file"))
  var data: String?

  @Option(
    help: ArgumentHelp(
      "Examples to validate on, before, during and after training; the best state is kept.", valueName: "file"))
  var validation: String?

  @Option(help: ArgumentHelp("The folder of the run; new or empty, unless it is resumed.", valueName: "directory"))
  var output: String?

  @OptionGroup(title: "Method") var methodArguments: MethodArguments
  @OptionGroup(title: "Training") var training: TrainingArguments
  @OptionGroup(title: "Precision") var precision: PrecisionArguments
  @OptionGroup(title: "Device") var deviceOptions: DeviceOptions

  func run() throws {
    var configuration = try mergedConfiguration()
    let modelPath = try configuration.required(configuration.model, "model")
    let dataPath = try single(configuration.data, "data")
    let start = try PromptInitialization(argument: configuration.promptInit)
    let method = try Self.method(&configuration, start)
    let options = configuration.resolvedOptions(training: method.trainable)
    configuration.learningRate = options.learningRate
    let folder = try outputFolder(configuration)

    let examples = try ExampleFile.read(dataPath)
    let validationExamples =
      try configuration.validation.isEmpty
      ? nil : ExampleFile.read(single(configuration.validation, "validation"))
    let backend = try DeviceSelection.open(
      configuration.device, strict: configuration.strictDevice, notice: DeviceSelection.standardErrorNotice)
    let demonstrations = try demonstrations(configuration, method, examples, on: backend)
    try demonstrations?.prepare(examples + (validationExamples ?? []))
    let opened = try OpenedModel(
      modelPath, configuration.modelOptions(trainable: method.trainable == .all), on: backend)
    let facts = opened.model.facts
    let encoder = try ExampleEncoder(
      codec: opened.codec, template: demonstrations?.template ?? PlainTemplate(), truncation: configuration.truncate,
      maximumPositions: facts.maximumPositions, promptLength: method.promptLength)
    let data = try EncodedExamples(examples, encoder: encoder)
    let validation = try validationExamples.map { try EncodedExamples($0, encoder: encoder) }
    reportCuts(data, dataPath)
    if let validation, let path = configuration.validation.first { reportCuts(validation, path) }

    let prompted = PromptedModel(model: opened.model, prompt: try prompt(method, start, opened, options, backend))
    let files = PromptedModelFiles(
      prompted,
      settings: AdapterSettings(
        method: method, truncation: configuration.truncate, demonstrations: demonstrations?.settings),
      origin: ModelOrigin(
        name: modelPath, configuration: opened.directory.configuration, companions: opened.directory.url))
    try TrainingSession(
      configuration: configuration, options: options, prompted: prompted, data: data, validation: validation,
      files: files, folder: folder, modelName: modelPath,
      dataDescription: "\(data.count) examples, \(data.tokenCount) tokens, \(dataPath)",
      validationDescription: validation.map { "\($0.count) examples, \($0.tokenCount) tokens" },
      dryRunData: DryRunReport.Data(
        file: dataPath, examples: data.count, lines: examples.map(\.source.line),
        validation_examples: validation?.count),
      json: training.json
    ).run()
  }

  private func mergedConfiguration() throws -> RunConfiguration {
    var layer = ConfigurationLayer.commandLine
    layer.set("model", model)
    layer.set("data", data)
    layer.set("validation", validation)
    layer.set("output", output)
    layer.set(methodArguments)
    training.fill(&layer)
    layer.set(precision)
    layer.set(deviceOptions)
    return try training.configuration(with: layer)
  }

  /// The method; an adapter that training starts from settles the prompt's length if nothing else does.
  private static func method(_ configuration: inout RunConfiguration, _ start: PromptInitialization) throws -> Method {
    if case .adapter(let adapter) = start, configuration.promptLength == nil {
      configuration.promptLength = adapter.prompt.length
    }
    return try configuration.resolvedMethod()
  }

  /// Nil in a dry run.
  private func outputFolder(_ configuration: RunConfiguration) throws -> RunFolder? {
    if training.dryRun { return nil }
    let path = try configuration.required(configuration.output, "output")
    let folder = try RunFolder(path: path, resumes: training.resume)
    try configuration.checkResumes(folder)
    return folder
  }

  private func single(_ paths: [String], _ option: String) throws -> String {
    guard let path = paths.first else { throw ValidationError("--\(option) is missing") }
    guard paths.count == 1 else { throw ValidationError("--\(option) takes one file, not \(paths.count)") }
    return path
  }

  private func demonstrations(
    _ configuration: RunConfiguration, _ method: Method, _ examples: [Example], on backend: any ComputeBackend
  ) throws -> Demonstrations? {
    try Demonstrations.check(
      method, shots: configuration.shots, data: configuration.demonstrationData, retriever: configuration.retriever)
    guard method.demonstrations != .none else { return nil }
    return try Demonstrations(
      method, pool: try configuration.demonstrationData.map { try ExampleFile.read($0) } ?? examples,
      file: try configuration.demonstrationData ?? single(configuration.data, "data"),
      seed: configuration.options.seed, retriever: configuration.retriever, on: { backend })
  }

  private func prompt(
    _ method: Method, _ start: PromptInitialization, _ opened: OpenedModel, _ options: TrainingOptions,
    _ backend: any ComputeBackend
  ) throws -> any Prompt {
    guard method.prompt == .static else { return NoPrompt() }
    let values = try start.values(
      length: method.promptLength, model: opened.model, codec: opened.codec, seed: options.seed)
    return try StaticPrompt(
      values: values, length: method.promptLength, width: opened.model.facts.embeddingWidth,
      isTrainable: method.trainable != .none,
      on: backend)
  }

  private func reportCuts(_ data: EncodedExamples, _ path: String) {
    let cuts = data.truncation
    guard cuts.examples > 0 else { return }
    DeviceSelection.standardErrorNotice(
      "\(path): \(cuts.examples) examples were cut to fit: \(cuts.demonstrations) demonstrations, "
        + "\(cuts.inputTokens) input tokens")
  }
}
