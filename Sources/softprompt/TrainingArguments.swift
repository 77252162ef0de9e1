import ArgumentParser
import Autodiff
import Compute
import LanguageModels
import PromptTuning
import Training

extension OptimizerKind: ExpressibleByArgument {}
extension LearningRateSchedule.Shape: ExpressibleByArgument {}
extension Recipe: ExpressibleByArgument {}

/// The options of how a run goes, shared by `train` and `pretrain`.
///
/// Every one is also a key of a configuration file.
struct TrainingArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A YAML file of options: their names without the dashes. What the command line says counts more.",
      valueName: "file"))
  var config: String?

  @Option(
    help: ArgumentHelp(
      "Settings of a paper that go together: lester-2021 (Adafactor at 0.3, 100 virtual tokens, batches of 32), sun-2023 (AdamW, 25 virtual tokens, batches of 8, five epochs).",
      discussion: "Other options of the same place, file or command line, count more.", valueName: "name"))
  var recipe: Recipe?

  // MARK: - Length and batches

  @Option(help: "How many optimizer steps to take.")
  var steps: Int?

  @Option(help: "How many passes over the data to make (default: 1).")
  var epochs: Int?

  @Option(help: "Examples that are computed together (default: 8).")
  var batchSize: Int?

  @Option(help: "Batches whose gradients are added up before a step, each token counting the same (default: 1).")
  var accumulate: Int?

  @Flag(
    help: ArgumentHelp(
      "Keep no values inside layers and compute them again for the gradient: less memory, more time, the same result."))
  var recompute = false

  @Option(
    help: ArgumentHelp(
      "Take savings away that change no result, to prove it: \(ExactSavings.named.map(\.name).joined(separator: ", ")).",
      valueName: "names"))
  var without: String?

  @Flag(help: "Keep the order of the file instead of a new one in every pass.")
  var noShuffle = false

  @Option(help: "The seed of everything that is drawn at random (default: 0).")
  var seed: Int?

  // MARK: - Optimizer

  @Option(help: "adamw, adafactor or sgd (default: adamw).")
  var optimizer: OptimizerKind?

  @Option(
    help: """
      The learning rate after the warm-up (default: 0.01 for prompts, 5e-5 for whole models, 1e-3 for random weights).
      """)
  var learningRate: Double?

  @Option(help: "constant, linear (down to 0) or cosine (down to 0) (default: constant).")
  var schedule: LearningRateSchedule.Shape?

  @Option(help: ArgumentHelp("Steps over which the rate rises from 0 (default: 0).", valueName: "steps"))
  var warmup: Int?

  @Option(help: "AdamW's decay of the first moment (default: 0.9).")
  var beta1: Double?

  @Option(help: "AdamW's decay of the second moment (default: 0.999).")
  var beta2: Double?

  @Option(help: "AdamW's epsilon (default: 1e-8).")
  var epsilon: Double?

  @Option(help: "Weight decay (default: 0).")
  var weightDecay: Double?

  @Option(help: "The momentum of sgd (default: 0).")
  var momentum: Double?

  @Option(help: "Adafactor: second moments decay by 1 - step^-X (default: 0.8).")
  var adafactorDecay: Double?

  @Option(help: "Adafactor: the largest root-mean-square of an update (default: 1).")
  var adafactorClipThreshold: Double?

  @Option(help: "Adafactor: multiply steps by the size of the parameter, true or false (default: true).")
  var adafactorScaleParameter: Bool?

  @Option(help: "The largest norm of the whole gradient; 0 for no limit (default: 0).")
  var clipNorm: Double?

  // MARK: - Reports and ends

  @Option(help: ArgumentHelp("Steps between lines of the log (default: 10).", valueName: "steps"))
  var logEvery: Int?

  @Option(
    help: ArgumentHelp(
      "Steps between validations; there is always one before the first step and one at the end (default: 0, no others).",
      valueName: "steps"))
  var validateEvery: Int?

  @Option(help: "What the best state is chosen by: loss, accuracy or pearson (default: loss).")
  var bestMetric: String?

  @Option(help: "End after so many validations that are no better; 0 for never (default: 0).")
  var patience: Int?

  @Option(help: ArgumentHelp("Steps between checkpoints (default: 100).", valueName: "steps"))
  var saveEvery: Int?

  @Option(help: "How many checkpoints to keep besides the best (default: 1).")
  var keep: Int?

  @Option(help: ArgumentHelp("End after so many seconds; 0 for no limit (default: 0).", valueName: "seconds"))
  var timeLimit: Double?

  @Flag(help: "Go on with the run in the output folder, bit for bit; start it if there is none yet.")
  var resume = false

  @Flag(help: "Check everything, take one step, estimate memory and time, and write nothing.")
  var dryRun = false

  @Flag(
    help: ArgumentHelp(
      "Measure every operation: a table at the end, and trace.json in the output folder.",
      discussion: "chrome://tracing and Perfetto open the trace. What is computed stays the same."))
  var profile = false

  @Flag(help: "Print the lines of metrics.jsonl (or the dry run's report) as JSON and nothing else.")
  var json = false

  /// Puts what was given on the command line into a layer.
  func fill(_ layer: inout ConfigurationLayer) {
    layer.set(Recipe.key, recipe?.rawValue)
    layer.set("steps", steps)
    layer.set("epochs", epochs)
    layer.set("batch-size", batchSize)
    layer.set("accumulate", accumulate)
    layer.set("recompute", flag: recompute)
    layer.set("without", without)
    layer.set("no-shuffle", flag: noShuffle)
    layer.set("seed", seed)
    layer.set("optimizer", optimizer?.rawValue)
    layer.set("learning-rate", learningRate)
    layer.set("schedule", schedule?.rawValue)
    layer.set("warmup", warmup)
    layer.set("beta1", beta1)
    layer.set("beta2", beta2)
    layer.set("epsilon", epsilon)
    layer.set("weight-decay", weightDecay)
    layer.set("momentum", momentum)
    layer.set("adafactor-decay", adafactorDecay)
    layer.set("adafactor-clip-threshold", adafactorClipThreshold)
    layer.set("adafactor-scale-parameter", adafactorScaleParameter)
    layer.set("clip-norm", clipNorm)
    layer.set("log-every", logEvery)
    layer.set("validate-every", validateEvery)
    layer.set("best-metric", bestMetric)
    layer.set("patience", patience)
    layer.set("save-every", saveEvery)
    layer.set("keep", keep)
    layer.set("time-limit", timeLimit)
  }

  func validate() throws {
    if profile, dryRun { throw ValidationError("--profile and --dry-run exclude each other: a dry run writes nothing") }
  }

  /// The device, or the device with its operations measured.
  ///
  /// What is measured starts here, so that loading the model is part of it.
  func profiled(_ backend: any ComputeBackend) throws -> (backend: any ComputeBackend, profile: RunProfile?) {
    guard profile else { return (backend, nil) }
    let profile = try RunProfile(backend)
    return (profile.backend, profile)
  }

  /// The configuration file, if any, with the command line over it.
  ///
  /// - Throws: `TrainingError.configuration` naming file or option.
  func configuration(with commandLine: ConfigurationLayer) throws -> RunConfiguration {
    var configuration = RunConfiguration()
    if let config { try configuration.apply(ConfigurationLayer(yaml: config)) }
    try configuration.apply(commandLine)
    return configuration
  }
}

extension ConfigurationLayer {
  /// What was given on the command line, to be filled.
  static var commandLine: ConfigurationLayer { ConfigurationLayer(origin: "command line") }

  mutating func set(_ options: DeviceOptions) {
    // "auto" is what stands there when nothing was given.
    if options.device != "auto" { set("device", options.device) }
    set("strict-device", flag: options.strictDevice)
  }

  mutating func set(_ options: PrecisionArguments) {
    set("weights", options.weights?.rawValue)
    set("compute-type", options.computeType?.rawValue)
  }

  mutating func set(_ options: MethodArguments) {
    set("method", options.method)
    set("prompt", options.prompt?.rawValue)
    set("prompt-length", options.promptLength)
    set("prompt-init", options.promptInit)
    set(options.promptArguments)
    set("head", options.head.head?.rawValue)
    set("head-token", options.head.headToken?.rawValue)
    set("head-dropout", options.headDropout)
    set("trainable", options.trainable?.rawValue)
    set("demonstrations", options.template.demonstrations?.rawValue)
    set("shots", options.template.shots)
    set("demonstration-data", options.template.demonstrationData)
    set("retriever", options.template.retriever)
    set("truncate", Truncation.names.filter { options.template.truncate?.contains($0.value) ?? false }.map(\.name))
    set("max-length", options.template.maxLength)
    set(options.template.task)
  }
}

extension RunConfiguration {
  /// A value that a command cannot do without.
  func required<Value>(_ value: Value?, _ option: String) throws -> Value {
    guard let value else { throw ValidationError("--\(option) is missing") }
    return value
  }

  /// How the model is loaded.
  func modelOptions(trainable: Bool) -> ModelOptions {
    ModelOptions(precision: weights, isTrainable: trainable, roundsOperands: computeType == .bf16)
  }
}
