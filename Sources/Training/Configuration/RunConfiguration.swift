import LanguageModels
import PromptTuning

/// Everything that a run is made of.
///
/// Its keys are the names of the command's options without the dashes.
public struct RunConfiguration: Sendable, Equatable {
  // MARK: - What is read and written

  /// The model's directory.
  public var model: String?
  /// A configuration for a model from scratch.
  public var configJSON: String?
  /// The tokenizer's file for a model from scratch.
  public var tokenizer: String?
  public var data: [String] = []
  public var validation: [String] = []
  /// Tokens that a sequence of running text reads; nil for as many as the model has positions.
  public var sequenceLength: Int?
  public var output: String?

  // MARK: - Method; nil stands for what the named point says

  public var method = "prompt-tuning"
  public var prompt: PromptKind?
  public var promptLength: Int?
  public var promptSettings = PromptSettings()
  /// `random`, `vocabulary`, `labels`, `text:STRING` or `adapter:DIR`; nil for what suits the kind.
  public var promptInit: String?
  public var head: Head?
  public var headToken: HeadToken?
  public var trainable: Trainable?
  public var demonstrations: DemonstrationSelection?
  public var shots: Int?
  /// The pool of demonstrations; nil for the training data.
  public var demonstrationData: String?
  /// `bm25` or the directory of a model, for retrieved demonstrations; nil for `bm25`.
  public var retriever: String?
  public var truncate: Truncation = []
  /// The most tokens of an example.
  public var maxLength: Int?

  // MARK: - Task; nil stands for what the preset says, or for rows of inputs and targets

  public var preset: String?
  public var template: String?
  /// A file of templates, one a line.
  public var templateFile: String?
  /// How many of the file's templates to take, unlike ones; nil for all.
  public var templateCount: Int?
  /// The weight of the Hamming distance in choosing unlike templates; the Levenshtein distance has the rest.
  public var templateHammingWeight = 0.5
  /// `average`, or the number of a template from 1.
  public var inferenceTemplate: String?
  public var labels: [String] = []
  public var labelWords: [String] = []
  /// Examples of each label to train on; nil for all.
  public var examplesPerLabel: Int?
  /// `FILE=WEIGHT` for each file of a mixture, in place of `data`.
  public var mix: [String] = []

  // MARK: - Device and precision

  public var device = "auto"
  public var strictDevice = false
  public var weights: WeightPrecision = .checkpoint
  public var computeType = ComputeType.f32

  // MARK: - Recipe

  public var options = TrainingOptions()
  /// The rate, where one was chosen; `resolvedOptions` has another default for each kind of training.
  public var learningRate: Double?

  /// The operand type of matrix products.
  public enum ComputeType: String, Sendable, CaseIterable, Codable {
    case f32
    case bf16
  }

  public init() {}

  /// The options with a rate that suits what is trained, unless one was chosen.
  ///
  /// - Parameter isFromScratch: the weights are random.
  public func resolvedOptions(training trainable: Trainable, isFromScratch: Bool = false) -> TrainingOptions {
    var options = options
    let fallback = trainable == .all ? (isFromScratch ? Self.scratchRate : Self.modelRate) : Self.promptRate
    options.learningRate = learningRate ?? fallback
    return options
  }

  /// The default rate for prompts, which bear large steps.
  static let promptRate = 0.01
  /// The default rate for whole models that are already trained.
  static let modelRate = 5e-5
  /// The default rate for random weights.
  static let scratchRate = 1e-3

  /// The point on the axes: the named one with single axes changed.
  ///
  /// - Throws: `MethodError.refused` if it makes no sense.
  public func resolvedMethod() throws -> Method {
    var method = try Method.named(method)
    if let prompt {
      method.prompt = prompt
      if prompt == .none {
        method.promptLength = 0
      } else if method.promptLength == 0 {
        method.promptLength = Method.defaultPromptLength
      }
    }
    if let promptLength { method.promptLength = promptLength }
    method.promptOptions = promptSettings.over(method.promptOptions)
    if method.prompt != .prefix, method.prompt != .prefixMLP, promptSettings.prefixDropout == nil {
      method.promptOptions.prefixDropout = 0
    }
    if let option = promptSettings.needless(method) {
      throw MethodError.refused("\(option) makes no sense with --prompt \(method.prompt.rawValue) as it is placed")
    }
    if let head {
      method.head = head
      if !head.kind.isTrained { method.headToken = nil }
    }
    if let headToken { method.headToken = headToken }
    if let trainable { method.trainable = trainable }
    method.setDemonstrations(demonstrations, shots: shots)
    try method.validate()
    return method
  }

  /// Sets the keys of a layer over what is there; a recipe among them counts before the others.
  ///
  /// - Throws: `TrainingError.configuration` naming origin and key, with the nearest known key for an unknown one.
  public mutating func apply(_ layer: ConfigurationLayer) throws {
    func refuse(_ reason: String) -> TrainingError { .configuration(origin: layer.origin, reason: reason) }
    for (key, _) in layer.entries where ConfigurationKey.named(key) == nil && key != Recipe.key {
      let nearest = NearestName.of(key, among: ConfigurationKey.names)
      throw refuse("unknown key '\(key)'" + (nearest.map { "; did you mean '\($0)'?" } ?? ""))
    }
    if layer.value("steps") != nil, layer.value("epochs") != nil {
      throw refuse("'steps' and 'epochs' exclude each other")
    }
    if let value = layer.value(Recipe.key) {
      guard case .string(let name) = value, let recipe = Recipe(rawValue: name) else {
        throw refuse("'\(Recipe.key)' must be one of \(Recipe.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      recipe.apply(to: &self)
    }
    for (key, value) in layer.entries {
      guard let known = ConfigurationKey.named(key) else { continue }
      if let reason = known.set(&self, value) { throw refuse("'\(key)' \(reason)") }
    }
  }

  /// All keys that have a value, as YAML.
  public var yaml: String {
    ConfigurationKey.all.compactMap { key in
      key.get(self).map { "\(key.name): \(Self.text($0))\n" }
    }.joined()
  }

  static func text(_ value: ConfigurationValue) -> String {
    switch value {
    case .string(let string): quoted(string)
    case .integer(let number): String(number)
    case .number(let number): "\(number)"
    case .boolean(let truth): truth ? "true" : "false"
    case .list(let items): "[" + items.map(quoted).joined(separator: ", ") + "]"
    }
  }

  /// A double-quoted YAML scalar.
  private static func quoted(_ string: String) -> String {
    var result = "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      case _
      where scalar.value < 0x20 || scalar.value == 0x7F || scalar.value == 0x85 || scalar.value == 0x2028
        || scalar.value == 0x2029 || scalar.value == 0xFEFF:
        let digits = String(scalar.value, radix: 16, uppercase: true)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

/// Settings of a paper that go together.
public enum Recipe: String, Sendable, CaseIterable {
  /// Lester et al., 2021: Adafactor at a constant 0.3 without scaling by parameters, prompts of 100 tokens from the
  /// vocabulary, batches of 32.
  case lester2021 = "lester-2021"
  /// Sun et al., 2023: prompts of 25 random vectors, AdamW, batches of 8, five epochs.
  case sun2023 = "sun-2023"

  /// The key that names one.
  public static let key = "recipe"

  func apply(to configuration: inout RunConfiguration) {
    switch self {
    case .lester2021:
      configuration.promptLength = 100
      configuration.promptInit = "vocabulary"
      configuration.options.batchSize = 32
      configuration.options.optimizer = .adafactor
      configuration.learningRate = 0.3
      configuration.options.schedule = .constant
      configuration.options.warmupSteps = 0
      configuration.options.weightDecay = 1e-5
      configuration.options.adafactor = AdafactorOptions()
      configuration.options.adafactor.scalesByParameter = false
    case .sun2023:
      configuration.promptLength = 25
      configuration.promptInit = "random"
      configuration.options.batchSize = 8
      configuration.options.length = .epochs(5)
      configuration.options.optimizer = .adamw
      configuration.options.schedule = .constant
    }
  }
}
