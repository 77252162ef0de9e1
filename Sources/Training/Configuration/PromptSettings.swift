import PromptTuning

/// What the options say about a prompt beside its kind and length; nil stands for what the named point says.
public struct PromptSettings: Sendable, Hashable {
  public var poolSize: Int?
  public var poolActivation: PromptOptions.PoolActivation?
  public var reparameterizationWidth: Int?
  public var reparameterization: PromptOptions.Reparameterization?
  public var position: PromptPosition?
  public var length: PromptOptions.LengthChoice?
  public var features: PromptOptions.Features?
  public var featureLength: Int?
  public var order: PromptOptions.Order?
  public var temperature: Double?
  public var temperatureFloor: Double?
  public var annealing: Double?
  public var choice: PromptOptions.Choice?
  public var ranks: Int?
  public var taskStart: TaskStart?
  public var prefixDropout: Double?
  public var prefixDeviation: Double?

  public init() {}

  /// The options of a named point with these over them.
  func over(_ options: PromptOptions) -> PromptOptions {
    var result = options
    result.poolSize = poolSize ?? options.poolSize
    result.poolActivation = poolActivation ?? options.poolActivation
    result.reparameterizationWidth = reparameterizationWidth ?? options.reparameterizationWidth
    result.reparameterization = reparameterization ?? options.reparameterization
    result.position = position ?? options.position
    result.length = length ?? options.length
    // A number of tokens is learned in place of their position, not beside it, unless both are asked for.
    if length != nil, length != .fixed, position == nil, options.position.isLearned { result.position = .front }
    result.features = features ?? options.features
    result.featureLength = featureLength ?? options.featureLength
    result.order = order ?? options.order
    result.temperature = temperature ?? options.temperature
    result.temperatureFloor = temperatureFloor ?? min(options.temperatureFloor, result.temperature)
    result.annealing = annealing ?? options.annealing
    result.choice = choice ?? options.choice
    result.ranks = ranks ?? options.ranks
    result.taskStart = taskStart ?? options.taskStart
    result.prefixDropout = prefixDropout ?? options.prefixDropout
    result.prefixDeviation = prefixDeviation ?? options.prefixDeviation
    return result
  }

  /// The first option that has no meaning without a prompt of some kind.
  func needless(_ method: Method) -> String? {
    if poolSize != nil || poolActivation != nil, method.prompt != .pool { return "--pool-size" }
    if prefixDeviation != nil, method.prompt != .prefix, method.prompt != .prefixMLP { return "--prefix-deviation" }
    if features != nil, !method.promptOptions.readsFeatures(method.prompt) { return "--features" }
    if featureLength != nil, method.promptOptions.features != .paddedMean { return "--feature-length" }
    if ranks != nil, method.prompt != .multitask { return "--prompt-ranks" }
    if taskStart != nil, method.prompt != .multitask { return "--prompt-task-init" }
    let draws = method.promptOptions.position.isLearned || method.promptOptions.length != .fixed
    if temperature != nil || temperatureFloor != nil || annealing != nil || choice != nil, !draws {
      return "--temperature"
    }
    return nil
  }
}

extension ConfigurationKey {
  /// The keys of a prompt.
  static let prompts: [ConfigurationKey] = [
    integer("pool-size", \.promptSettings.poolSize, atLeast: 1),
    choice("pool-activation", \.promptSettings.poolActivation),
    integer("reparameterization-width", \.promptSettings.reparameterizationWidth, atLeast: 1),
    choice("reparameterization", \.promptSettings.reparameterization), position,
    choice("length", \.promptSettings.length),
    choice("features", \.promptSettings.features),
    integer("feature-length", \.promptSettings.featureLength, atLeast: 1),
    choice("prompt-order", \.promptSettings.order),
    number("temperature", \.promptSettings.temperature, atLeast: 0),
    number("temperature-floor", \.promptSettings.temperatureFloor, atLeast: 0),
    number("temperature-annealing", \.promptSettings.annealing, atLeast: 0),
    choice("prompt-choice", \.promptSettings.choice),
    integer("prompt-ranks", \.promptSettings.ranks, atLeast: 1), taskStart,
    number("prefix-dropout", \.promptSettings.prefixDropout, atLeast: 0, below: 1),
    number("prefix-deviation", \.promptSettings.prefixDeviation, atLeast: 0),
  ]

  private static let taskStart = ConfigurationKey(
    name: "prompt-task-init",
    set: { configuration, value in
      guard let text = string(value), let start = TaskStart(text) else {
        return "must be average, shared, each or the number of a task from 0"
      }
      configuration.promptSettings.taskStart = start
      return nil
    },
    get: { configuration in
      configuration.promptSettings.taskStart.map {
        if case .task(let task) = $0 { .integer(task) } else { .string($0.description) }
      }
    })

  private static let position = ConfigurationKey(
    name: "position",
    set: { configuration, value in
      let text: String
      switch value {
      case .string(let string): text = string
      case .integer(let number): text = String(number)
      default: return "must be front, back, task, instance or a number, not \(value.kind)"
      }
      guard let position = PromptPosition(text) else {
        return "is '\(text)', it must be front, back, task, instance or a number of tokens in front"
      }
      configuration.promptSettings.position = position
      return nil
    },
    get: { configuration in
      configuration.promptSettings.position.map {
        if case .count(let count) = $0 { .integer(count) } else { .string($0.description) }
      }
    })
}
