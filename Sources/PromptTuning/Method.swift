/// A point on the four axes: template, prompt, head, trainable.
public struct Method: Sendable, Hashable, Codable {
  /// The named point that this one started from.
  public var name: String
  /// How demonstrations are chosen; none for the plain template.
  public var demonstrations: DemonstrationSelection
  /// How many demonstrations.
  public var shots: Int
  public var prompt: PromptKind
  /// How many virtual tokens; 0 without a prompt.
  public var promptLength: Int
  /// What else the prompt is told.
  public var promptOptions = PromptOptions()
  public var head: Head
  /// Whose hidden state a classifier or a regressor reads; nil for what suits the model.
  public var headToken: HeadToken?
  public var trainable: Trainable

  /// The names of the known points.
  public static let names = [
    "prompt-tuning", "p-tuning", "prefix-tuning", "p-tuning-v2", "dynamic", "multitask-prompt-tuning", "icl", "ipt",
    "fine-tuning", "dynamar",
  ]

  /// The number of virtual tokens unless it is chosen.
  public static let defaultPromptLength = 20

  /// A known point.
  ///
  /// - Throws: `MethodError.refused` for an unknown name.
  public static func named(_ name: String) throws -> Method {
    switch name {
    case "prompt-tuning":
      Method(
        name: name, demonstrations: .none, shots: 0, prompt: .static, promptLength: defaultPromptLength,
        head: .languageModel, trainable: .prompt)
    case "p-tuning": promptMethod(name, .lstm) { $0.reparameterization = .pTuning }
    case "prefix-tuning": promptMethod(name, .prefixMLP) { _ in }
    case "p-tuning-v2":
      promptMethod(name, .prefix) {
        $0.prefixDropout = 0.1
        $0.prefixDeviation = 1
      }
    case "dynamic": promptMethod(name, .static) { $0.position = .instance }
    case "multitask-prompt-tuning": promptMethod(name, .multitask) { _ in }
    case "icl":
      Method(
        name: name, demonstrations: .fixed, shots: 1, prompt: .none, promptLength: 0, head: .languageModel,
        trainable: .none)
    case "ipt":
      // Sun et al., 2023: one retrieved demonstration between prompt and input.
      Method(
        name: name, demonstrations: .retrieved, shots: 1, prompt: .static, promptLength: defaultPromptLength,
        head: .languageModel, trainable: .prompt)
    case "fine-tuning":
      Method(
        name: name, demonstrations: .none, shots: 0, prompt: .none, promptLength: 0, head: .languageModel,
        trainable: .all)
    case "dynamar":
      // DynaMaR (X. Sun et al., 2022): templates of a pool, the mask token's hidden state, everything trained.
      Method(
        name: name, demonstrations: .none, shots: 0, prompt: .none, promptLength: 0, head: .classifier,
        headToken: .mask,
        trainable: .all)
    default:
      throw MethodError.refused("unknown method '\(name)'; known are \(names.joined(separator: ", "))")
    }
  }

  /// A point at which only a prompt, and a new head, are trained.
  private static func promptMethod(
    _ name: String, _ prompt: PromptKind, _ change: (inout PromptOptions) -> Void
  ) -> Method {
    var method = Method(
      name: name, demonstrations: .none, shots: 0, prompt: prompt, promptLength: defaultPromptLength,
      head: .languageModel, trainable: .prompt)
    change(&method.promptOptions)
    return method
  }

  /// Chooses demonstrations; none of them (`shots` 0) is the method without.
  public mutating func setDemonstrations(_ selection: DemonstrationSelection?, shots: Int?) {
    if let selection {
      demonstrations = selection
      if selection == .none { self.shots = 0 } else if self.shots == 0 { self.shots = 1 }
    }
    if let shots {
      self.shots = shots
      if shots == 0 { demonstrations = .none }
    }
  }

  /// - Throws: `MethodError.refused` with the reason if the combination makes no sense.
  public func validate() throws {
    if !prompt.kind.isPrompt, promptLength != 0 {
      throw MethodError.refused("a prompt length of \(promptLength) makes no sense without a prompt")
    }
    if prompt.kind.isPrompt, promptLength < 1 {
      throw MethodError.refused("a prompt needs at least one virtual token")
    }
    try promptOptions.validate(prompt, promptLength: promptLength, trainable: trainable)
    if trainable == .prompt, prompt == .none, !head.kind.isTrained {
      throw MethodError.refused("there is no prompt to train: choose --prompt static, or --trainable all or none")
    }
    if head.kind.answers == .labels, demonstrations != .none {
      throw MethodError.refused(
        "demonstrations show a text with its target; --head \(head.rawValue) has a label for each word")
    }
    if headToken != nil, !head.kind.isTrained {
      throw MethodError.refused(
        "--head-token makes no sense with --head \(head.rawValue), which reads where the model predicts a token")
    }
    switch demonstrations {
    case .none where shots != 0:
      throw MethodError.refused("--shots \(shots) makes no sense without --demonstrations fixed, random or retrieved")
    case .fixed where shots < 1, .random where shots < 1, .retrieved where shots < 1:
      throw MethodError.refused("--demonstrations \(demonstrations.rawValue) needs --shots of at least 1")
    default: break
    }
  }
}

extension KeyedDecodingContainer {
  /// What an adapter made before there were such options does not say has its defaults.
  func decode(_ type: PromptOptions.Type, forKey key: Key) throws -> PromptOptions {
    try decodeIfPresent(type, forKey: key) ?? PromptOptions()
  }
}
