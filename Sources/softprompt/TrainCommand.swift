import ArgumentParser
import Compute
import Conformance
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
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Several files in place of --data, each drawn from as often as its weight says; a task of its own is file=weight:preset.",
      valueName: "file=weight"))
  var mix: [String] = []

  @Option(help: "Train on so many examples of each label, drawn with the seed (default: all).")
  var examplesPerLabel: Int?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Examples to validate on, before, during and after training; the best state is kept.",
      discussion: "A multitask prompt has a file for each file of --mix, in the same order.", valueName: "file"))
  var validation: [String] = []

  @Option(help: ArgumentHelp("The folder of the run; new or empty, unless it is resumed.", valueName: "directory"))
  var output: String?

  @OptionGroup(title: "Method") var methodArguments: MethodArguments
  @OptionGroup(title: "Training") var training: TrainingArguments
  @OptionGroup(title: "Precision") var precision: PrecisionArguments
  @OptionGroup(title: "Device") var deviceOptions: DeviceOptions

  @Option(
    help: ArgumentHelp(
      "Repeat every kernel on a second device and stop at the first that disagrees; slow.",
      discussion: "For finding out whether a driver computes what it should on your own model and data.",
      valueName: "device"))
  var checkWith: String?

  func run() throws {
    var configuration = try mergedConfiguration()
    let modelPath = try configuration.required(configuration.model, "model")
    if configuration.head == nil { configuration.head = try Self.defaultHead(configuration, modelPath) }
    let start = try configuration.promptStart()
    let method = try Self.method(&configuration, start)
    try configuration.checkBestMetric(method.head.kind.answers)
    let options = configuration.resolvedOptions(training: method.trainable)
    configuration.learningRate = options.learningRate
    let folder = try outputFolder(configuration)

    configuration.truncate = try configuration.resolvedTruncation()
    var taskData = try TaskData(configuration)
    let examples = taskData.examples
    let (device, profile) = try training.profiled(
      DeviceSelection.open(
        configuration.device, strict: configuration.strictDevice, notice: DeviceSelection.standardErrorNotice))
    let checked = try checkWith.map { choice in
      CheckedBackend(device, against: try DeviceSelection.open(choice, strict: true, notice: { _ in }))
    }
    let backend: any ComputeBackend = checked ?? device
    let demonstrations = try demonstrations(configuration, method, taskData, on: backend)
    try demonstrations?.prepare(examples + (taskData.validation ?? []))
    let opened = try OpenedModel(
      modelPath, configuration.modelOptions(trainable: method.trainable == .all), on: backend)
    let facts = opened.model.facts
    taskData.settleLabels(by: opened.model.storedClassifier, unlessChosen: configuration)
    let request = Self.headRequest(method, taskData.task, opened, configuration)
    let head = try method.head.kind.init(request)
    try Self.check(head, method, start)
    var encoder = try ExampleEncoder(
      codec: opened.codec, template: demonstrations?.template ?? PlainTemplate(), texts: taskData.task?.pool(),
      truncation: configuration.truncate, maximumPositions: facts.maximumPositions, promptLength: method.promptLength,
      maximumLength: configuration.maxLength)
    encoder.answers = try AnswerSource(type(of: head).answers, taskData.task)
    try encoder.check(has: head.wanted)
    let data = try EncodedExamples(examples, encoder: encoder, mixture: taskData.mixture)
    let inference = try encoder.choosing(taskData.task?.inferenceTemplate.choice ?? .sampled)
    let validation = try taskData.validation.map {
      try EncodedExamples($0, encoder: inference, taskCounts: taskData.validationCounts)
    }
    reportCuts(data, taskData.description)
    if let validation { reportCuts(validation, configuration.validation.joined(separator: ", ")) }

    let prompt = try PromptRequest(
      model: opened.model, codec: opened.codec, length: method.promptLength, options: method.promptOptions,
      start: start, labels: taskData.task?.labels ?? [], taskCount: taskData.taskCount,
      isTrainable: method.trainable != .none, seed: options.seed
    ).prompt(method.prompt)
    let prompted = PromptedModel(model: opened.model, prompt: prompt)
    let task = TaskModel(prompted, head: head, dropout: request.dropout)
    if case .adapter(let adapter) = start, !adapter.modules.isEmpty, method.head.kind.isTrained {
      try SavedModule.install(adapter.modules, into: task.parameters, path: adapter.path, on: backend)
    }
    let files = PromptedModelFiles(
      task,
      settings: AdapterSettings(
        method: method, truncation: configuration.truncate, maximumLength: configuration.maxLength,
        demonstrations: demonstrations?.settings, task: taskData.task,
        head: method.head == .languageModel ? nil : HeadRecord(head, request), promptSeed: options.seed),
      origin: ModelOrigin(
        name: modelPath, configuration: opened.directory.configuration, companions: opened.directory.url))
    try TrainingSession(
      configuration: configuration, options: options, task: task, data: data, validation: validation,
      files: files, folder: folder, modelName: modelPath,
      dataDescription: "\(data.count) examples, \(data.tokenCount) tokens, \(taskData.description)",
      validationDescription: validation.map { "\($0.count) examples, \($0.tokenCount) tokens" },
      dryRunData: DryRunReport.Data(
        file: taskData.description, examples: data.count, lines: taskData.lines, labels: taskData.task?.labels ?? [],
        validation_examples: validation?.count),
      labels: request.labels, json: training.json, profile: profile
    ).run()
    if let checked {
      DeviceSelection.standardErrorNotice(
        "\(checked.comparisons) kernel calls gave the same on \(device.device.id) and \(checked.reference.device.id)")
    }
  }

  private func mergedConfiguration() throws -> RunConfiguration {
    var layer = ConfigurationLayer.commandLine
    layer.set("model", model)
    layer.set("data", data)
    layer.set("mix", mix)
    layer.set("examples-per-label", examplesPerLabel)
    layer.set("validation", validation)
    layer.set("output", output)
    layer.set(methodArguments)
    training.fill(&layer)
    layer.set(precision)
    layer.set(deviceOptions)
    return try training.configuration(with: layer)
  }

  /// The method; an adapter that training starts from settles the prompt's length, and its rank, if nothing else does.
  private static func method(_ configuration: inout RunConfiguration, _ start: PromptInitialization) throws -> Method {
    if case .adapter(let adapter) = start, configuration.promptLength == nil {
      configuration.promptLength = adapter.prompt.length
    }
    if case .adapter(let adapter) = start, case .multitask(_, let rank) = adapter.type,
      try (configuration.prompt ?? Method.named(configuration.method).prompt) == .multitask,
      configuration.promptSettings.ranks == nil, configuration.promptSettings.taskStart != .shared
    {
      configuration.promptSettings.ranks = rank
    }
    return try configuration.resolvedMethod()
  }

  /// The head where nobody chose one: a classifier, or a regressor for a task of numbers, on an encoder, which writes no
  /// text; nil for the method's own.
  private static func defaultHead(_ configuration: RunConfiguration, _ model: String) throws -> Head? {
    guard try Method.named(configuration.method).head == .languageModel else { return nil }
    let directory = try ModelDirectory(URL(fileURLWithPath: model, isDirectory: true))
    guard try ClassifierLayout.isEncoder(directory.configuration) else { return nil }
    return try configuration.preset.map { try Preset.named($0).format.labelsAreValues } == true
      ? .regressor : .classifier
  }

  /// - Throws: `MethodError.refused` for a new head that nothing trains.
  private static func check(_ head: any TaskHead, _ method: Method, _ start: PromptInitialization) throws {
    guard method.trainable == .none, let new = head.parameters.first else { return }
    if case .adapter(let adapter) = start, adapter.modules.contains(where: { $0.name == new.name }) { return }
    throw MethodError.refused(
      "--trainable none: the head's '\(new.name)' is new and would stay random; --trainable prompt trains it")
  }

  private static func headRequest(
    _ method: Method, _ task: TaskFormat?, _ opened: OpenedModel, _ configuration: RunConfiguration
  ) -> HeadRequest {
    let labels: [String] =
      switch method.head.kind.answers {
      case .text: []
      case .label, .labels: task?.labels ?? []
      // None, unless somebody chose them, which a regressor refuses.
      case .value: configuration.labels
      }
    // A preset has words for its labels whatever reads them; only those that somebody chose are refused.
    let wantsWords = method.head == .verbalizer || (method.head.kind.isTrained && !configuration.labelWords.isEmpty)
    return HeadRequest(
      model: opened.model, codec: opened.codec, token: method.headToken, labels: labels,
      labelWords: wantsWords ? task?.labelWords : nil, trainable: method.trainable, seed: configuration.options.seed,
      dropout: configuration.headDropout.map {
        HeadDropout(probability: Float($0), seed: configuration.options.seed)
      })
  }

  /// Nil in a dry run.
  private func outputFolder(_ configuration: RunConfiguration) throws -> RunFolder? {
    if training.dryRun { return nil }
    let path = try configuration.required(configuration.output, "output")
    let folder = try RunFolder(path: path, resumes: training.resume)
    try configuration.checkResumes(folder)
    return folder
  }

  private func demonstrations(
    _ configuration: RunConfiguration, _ method: Method, _ data: TaskData, on backend: any ComputeBackend
  ) throws -> Demonstrations? {
    try Demonstrations.check(
      method, shots: configuration.shots, data: configuration.demonstrationData, retriever: configuration.retriever)
    guard method.demonstrations != .none else { return nil }
    var task = data.task
    let file = configuration.demonstrationData
    return try Demonstrations(
      method, pool: try file.map { try ExampleFile.read($0, for: &task) } ?? data.examples,
      files: file.map { [$0] } ?? data.paths, keepsPool: file == nil && configuration.examplesPerLabel != nil,
      seed: configuration.options.seed, retriever: configuration.retriever, on: { backend })
  }

  private func reportCuts(_ data: EncodedExamples, _ path: String) {
    let cuts = data.truncation
    guard cuts.examples > 0 else { return }
    DeviceSelection.standardErrorNotice(
      "\(path): \(cuts.examples) examples were cut to fit: \(cuts.demonstrations) demonstrations, "
        + "\(cuts.inputTokens) input tokens")
  }
}
