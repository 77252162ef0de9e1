import ArgumentParser
import Compute
import Foundation
import LanguageModels
import PromptTuning
import Tokenizers
import Training

/// `softprompt pretrain`.
struct PretrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pretrain",
    abstract: "Train all weights of a model on running text, from scratch or from a checkpoint.",
    discussion: """
      From scratch: --config-json says the model's sizes and --tokenizer brings its tokens. With --model a checkpoint \
      is trained further. The data is JSON Lines with a document in "text" (or "input" and "target"), or plain text; \
      both may be .gz. Documents are joined with the end token between and cut into sequences of one length. The \
      output folder becomes a checkpoint that --model takes.
      """)

  @Option(help: ArgumentHelp("A config.json for a model with random weights.", valueName: "file"))
  var configJson: String?

  @Option(help: ArgumentHelp("The tokenizer.json of a model from scratch.", valueName: "file"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("A model's directory to train further.", valueName: "directory"))
  var model: String?

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("The text to train on; several files are read in their order.", valueName: "file"))
  var data: [String] = []

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("Text to validate on.", valueName: "file"))
  var validation: [String] = []

  @Option(help: "Tokens in a sequence (default: as many as the model has positions).")
  var sequenceLength: Int?

  @Option(help: ArgumentHelp("The folder of the run; new or empty, unless it is resumed.", valueName: "directory"))
  var output: String?

  @OptionGroup(title: "Training") var training: TrainingArguments
  @OptionGroup(title: "Precision") var precision: PrecisionArguments
  @OptionGroup(title: "Device") var deviceOptions: DeviceOptions

  func run() throws {
    var configuration = try mergedConfiguration()
    guard !configuration.data.isEmpty else { throw ValidationError("--data is missing") }
    let options = configuration.resolvedOptions(training: .all, isFromScratch: configuration.model == nil)
    configuration.learningRate = options.learningRate
    var folder: RunFolder?
    if !training.dryRun {
      let path = try configuration.required(configuration.output, "output")
      let opened = try RunFolder(path: path, resumes: training.resume)
      try configuration.checkResumes(opened)
      folder = opened
    }
    for path in configuration.data + configuration.validation { _ = try DocumentFile(path: path) }
    let (backend, profile) = try training.profiled(
      DeviceSelection.open(
        configuration.device, strict: configuration.strictDevice, notice: DeviceSelection.standardErrorNotice))
    let source = try PretrainingSource(configuration, on: backend)
    let facts = source.model.facts
    let length = configuration.sequenceLength ?? facts.maximumPositions ?? Self.defaultLength
    if let maximum = facts.maximumPositions, length > maximum {
      throw MethodError.refused("--sequence-length \(length): the model has \(maximum) positions")
    }
    func sequences(_ files: [String]) throws -> TokenSequences {
      try TokenSequences(files: files, codec: source.codec, vocabularySize: facts.vocabularySize, length: length)
    }
    let data = try sequences(configuration.data)
    let validation = try configuration.validation.isEmpty ? nil : sequences(configuration.validation)
    func describe(_ data: TokenSequences) -> String {
      "\(data.documentCount) documents, \(data.tokenCount) tokens, \(data.count) sequences of \(length)"
    }
    let prompted = PromptedModel(model: source.model, prompt: NoPrompt())
    try TrainingSession(
      configuration: configuration, options: options, task: TaskModel(prompted), data: data, validation: validation,
      files: PromptedModelFiles(prompted, settings: nil, origin: source.origin), folder: folder,
      modelName: source.origin.name, dataDescription: describe(data), validationDescription: validation.map(describe),
      dryRunData: DryRunReport.Data(
        file: configuration.data.joined(separator: ", "), examples: data.count, lines: [],
        validation_examples: validation?.count),
      json: training.json, profile: profile
    ).run()
  }

  /// Tokens in a sequence where the model has no limit.
  private static let defaultLength = 1024

  private func mergedConfiguration() throws -> RunConfiguration {
    var layer = ConfigurationLayer.commandLine
    layer.set("config-json", configJson)
    layer.set("tokenizer", tokenizer)
    layer.set("model", model)
    layer.set("data", data)
    layer.set("validation", validation)
    layer.set("sequence-length", sequenceLength)
    layer.set("output", output)
    training.fill(&layer)
    layer.set(precision)
    layer.set(deviceOptions)
    var configuration = try training.configuration(with: layer)
    configuration.method = "fine-tuning"
    return configuration
  }
}

/// The model to pretrain and where it comes from.
private struct PretrainingSource {
  let model: any LanguageModel
  let codec: TextCodec
  let origin: ModelOrigin

  init(_ configuration: RunConfiguration, on backend: any ComputeBackend) throws {
    try self.init(unchecked: configuration, on: backend)
    guard model.facts.kind == .causal else {
      throw MethodError.refused(
        "pretrain teaches a model the next token of plain text, which '\(model.facts.modelType)' is not made for")
    }
  }

  private init(unchecked configuration: RunConfiguration, on backend: any ComputeBackend) throws {
    let options = configuration.modelOptions(trainable: true)
    if let path = configuration.model {
      guard configuration.configJSON == nil, configuration.tokenizer == nil else {
        throw ValidationError("--model goes on with a checkpoint; --config-json and --tokenizer start a new model")
      }
      let opened = try OpenedModel(path, options, on: backend)
      (model, codec) = (opened.model, opened.codec)
      origin = ModelOrigin(name: path, configuration: opened.directory.configuration, companions: opened.directory.url)
      return
    }
    guard let configPath = configuration.configJSON, let tokenizerPath = configuration.tokenizer else {
      throw ValidationError("either --model, or --config-json together with --tokenizer, is needed")
    }
    let file = try ConfigurationFile(url: URL(fileURLWithPath: configPath))
    let tokenizerURL = URL(fileURLWithPath: tokenizerPath)
    let tokenizer = try TokenizerFiles.load(file: tokenizerURL)
    model = try ModelDirectory.initialize(file, seed: configuration.options.seed, on: backend, options)
    codec = try TextCodec(tokenizer: tokenizer, facts: model.facts)
    origin = ModelOrigin(
      name: configPath, configuration: file, companions: tokenizerURL.deletingLastPathComponent(),
      tokenizerFile: tokenizerURL.lastPathComponent == "tokenizer.json" ? nil : tokenizerURL)
  }
}
