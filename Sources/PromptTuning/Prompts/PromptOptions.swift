/// What the papers' prompts can be told beside their kind and length; every value is recorded with the adapter.
public struct PromptOptions: Sendable, Hashable, Codable {
  /// The network in front of a reparameterised prompt.
  public enum Reparameterization: String, Sendable, Hashable, Codable, CaseIterable {
    /// Linear, tanh, linear (Li and Liang, 2021).
    case prefixTuning = "prefix-tuning"
    /// Linear, ReLU, linear, ReLU, linear, as PEFT has P-tuning's (Liu et al., 2021).
    case pTuning = "p-tuning"
  }

  /// How many virtual tokens of a prompt are read.
  public enum LengthChoice: String, Sendable, Hashable, Codable, CaseIterable {
    /// All of them.
    case fixed
    /// A number that is learned, the same for every input.
    case task
    /// A number that a small network chooses for each input.
    case instance
  }

  /// Which tokens stand behind the text where only a part does.
  public enum Order: String, Sendable, Hashable, Codable, CaseIterable {
    /// The last ones: `P[..<n]; text; P[n...]` (Yang et al., 2023).
    case paper
    /// The first ones, as the authors' code has it: `P[j...]; text; P[..<j]`.
    case cyclic
  }

  /// How a choice is made where nothing is trained.
  public enum Choice: String, Sendable, Hashable, Codable, CaseIterable {
    /// The likeliest one.
    case argmax
    /// Drawn, as the authors' code does; the same for the same text and seed.
    case sample
  }

  /// What a learned position means that lies beyond a learned length.
  public enum PlacesBeyondLength: String, Sendable, Hashable, Codable, CaseIterable {
    /// The same as the length itself: all tokens that there are stand behind the text.
    case clamped
  }

  /// What follows the linear layer that mixes a pool.
  public enum PoolActivation: String, Sendable, Hashable, Codable, CaseIterable {
    case tanh
    case none
  }

  /// What networks that look at an instance read.
  public enum Features: String, Sendable, Hashable, Codable, CaseIterable {
    /// The mean of the model's final hidden states over the tokens of the text without a prompt.
    case mean
    /// The same over a text that is padded to a length, padding included, as the authors' code has it.
    ///
    /// A pass costs what a text of that length costs in everything but attention: with the authors' 480 rows and texts of
    /// 60 tokens about eight times as much. It is computed once for each text all the same.
    case paddedMean = "padded-mean"
  }

  /// Prompts in a pool.
  public var poolSize = 4
  /// Nil for what the authors' code has: tanh where the position is fixed, else none.
  public var poolActivation: PoolActivation?
  /// The hidden width of a network in front of a prompt; nil for 512, or the embedding width in P-tuning.
  public var reparameterizationWidth: Int?
  public var reparameterization = Reparameterization.prefixTuning
  public var position = PromptPosition.front
  public var length = LengthChoice.fixed
  /// There is one reading; it is kept so that an adapter says which one it was trained under.
  public var placesBeyondLength = PlacesBeyondLength.clamped
  public var features = Features.mean
  /// The rows that padded features are a mean over.
  public var featureLength = 480
  public var order = Order.paper
  /// The temperature of the first step.
  public var temperature = 1.0
  /// The temperature falls no lower.
  public var temperatureFloor = 0.5
  /// The larger, the slower the temperature falls.
  public var annealing = 10.0
  public var choice = Choice.argmax
  /// The rank of what each task of a multitask prompt has of its own.
  public var ranks = 1
  /// What the tasks of a multitask prompt take over from a trained one.
  public var taskStart = TaskStart.average
  /// The probability that a number of a prefix is left out of a training step.
  public var prefixDropout = 0.0
  /// The deviation of a prefix's random start.
  public var prefixDeviation = 0.02

  public init() {}

  private enum Key: String, CodingKey {
    case poolSize, poolActivation, reparameterizationWidth, reparameterization, position, length, placesBeyondLength
    case features, featureLength, order, temperature
    case temperatureFloor, annealing, choice, ranks, taskStart
    case prefixDropout, prefixDeviation
  }

  /// What a file does not say has its default.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    func read<Value: Decodable>(_ key: Key, _ value: inout Value) throws {
      value = try values.decodeIfPresent(Value.self, forKey: key) ?? value
    }
    try read(.poolSize, &poolSize)
    poolActivation = try values.decodeIfPresent(PoolActivation.self, forKey: .poolActivation)
    reparameterizationWidth = try values.decodeIfPresent(Int.self, forKey: .reparameterizationWidth)
    try read(.reparameterization, &reparameterization)
    try read(.position, &position)
    try read(.length, &length)
    try read(.placesBeyondLength, &placesBeyondLength)
    try read(.features, &features)
    try read(.featureLength, &featureLength)
    try read(.order, &order)
    try read(.temperature, &temperature)
    try read(.temperatureFloor, &temperatureFloor)
    try read(.annealing, &annealing)
    try read(.choice, &choice)
    try read(.ranks, &ranks)
    try read(.taskStart, &taskStart)
    try read(.prefixDropout, &prefixDropout)
    try read(.prefixDeviation, &prefixDeviation)
  }

  /// Whether networks read the model's states of each instance.
  public func readsFeatures(_ kind: PromptKind) -> Bool {
    position == .instance || length == .instance || kind == .pool
  }

  /// What a prompt cannot be told.
  ///
  /// - Throws: `MethodError.refused` with the reason.
  func validate(_ kind: PromptKind, promptLength: Int, trainable: Trainable) throws {
    func refuse(_ reason: String) -> MethodError { .refused(reason) }
    let name = kind.rawValue
    if position != .front, !kind.kind.hasVectors {
      throw refuse("--position \(position): --prompt \(name) has no tokens that could stand anywhere else")
    }
    if length != .fixed, !kind.kind.hasVectors {
      throw refuse("--length \(length.rawValue): --prompt \(name) has no tokens that could be left out")
    }
    if case .count(let front) = position, front > promptLength {
      throw refuse("--position \(front) puts more tokens in front than the prompt has (\(promptLength))")
    }
    if kind == .multitask, position != .front || length != .fixed {
      throw refuse(
        "--prompt multitask stands in front of the text and is read whole, as in PEFT, which has no other form")
    }
    if trainable == .all, readsFeatures(kind) {
      throw refuse(
        "what depends on the instance reads the frozen model's own states, so --trainable all does not go with it")
    }
    if kind == .pool, poolSize < 1 { throw refuse("--pool-size \(poolSize): a pool has at least one prompt") }
    if let width = reparameterizationWidth {
      guard kind.kind.isReparameterized else {
        throw refuse("--reparameterization-width makes no sense with --prompt \(name), which has no network")
      }
      guard width >= 1 else { throw refuse("--reparameterization-width is \(width), at least 1 is needed") }
    }
    guard temperature > 0, temperatureFloor > 0, temperatureFloor <= temperature else {
      throw refuse("--temperature \(temperature) must be above 0 and not below --temperature-floor \(temperatureFloor)")
    }
    guard prefixDropout >= 0, prefixDropout < 1 else {
      throw refuse("--prefix-dropout is \(prefixDropout), it must be at least 0 and below 1")
    }
    if prefixDropout > 0, kind != .prefix, kind != .prefixMLP {
      throw refuse("--prefix-dropout makes no sense with --prompt \(name)")
    }
  }
}

/// Where the virtual tokens stand.
public enum PromptPosition: Sendable, Hashable, LosslessStringConvertible, Codable {
  /// In front of the text.
  case front
  /// Behind the text, before an encoder's end token.
  case back
  /// So many in front, the others behind.
  case count(Int)
  /// As learned, the same for every input.
  case task
  /// As a small network chooses for each input.
  case instance

  public init?(_ description: String) {
    switch description {
    case "front": self = .front
    case "back": self = .back
    case "task": self = .task
    case "instance": self = .instance
    default:
      guard let count = Int(description), count >= 0 else { return nil }
      self = .count(count)
    }
  }

  public var description: String {
    switch self {
    case .front: "front"
    case .back: "back"
    case .count(let count): String(count)
    case .task: "task"
    case .instance: "instance"
    }
  }

  /// Whether training decides.
  public var isLearned: Bool { self == .task || self == .instance }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let value = PromptPosition(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "an unknown position")
    }
    self = value
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
