import Compute
import LanguageModels

/// A prompt that can be chosen by name.
///
/// A new kind is a type in a file of its own and one line in `PromptKind.kinds`.
public protocol TunablePrompt: Prompt {
  /// The name that `--prompt` takes.
  static var name: String { get }
  /// Whether there is anything to read.
  static var isPrompt: Bool { get }
  /// Whether its vectors stand among the text's tokens, so that their position and number can be chosen.
  static var hasVectors: Bool { get }
  /// Whether a small network makes what the model reads.
  static var isReparameterized: Bool { get }
  /// Where it starts unless something else is asked for.
  static var defaultStart: PromptInitialization { get }

  /// A prompt at its start.
  ///
  /// - Throws: `MethodError.refused` with the reason for a start or a model that makes no sense.
  init(_ request: PromptRequest) throws
}

extension TunablePrompt {
  public static var isPrompt: Bool { true }
  public static var hasVectors: Bool { false }
  public static var isReparameterized: Bool { false }
  public static var defaultStart: PromptInitialization { .vocabulary }
}

/// The name of a kind of prompt, one of `kinds`.
public struct PromptKind: RawRepresentable, Sendable, Hashable, Codable, CaseIterable {
  /// The prompts that can be chosen.
  public static var kinds: [any TunablePrompt.Type] {
    [
      NoPrompt.self, StaticPrompt.self, MLPPrompt.self, LSTMPrompt.self, PrefixPrompt.self, PrefixMLPPrompt.self,
      PoolPrompt.self, MultitaskPrompt.self,
    ]
  }

  public static let none = PromptKind(NoPrompt.self)
  public static let `static` = PromptKind(StaticPrompt.self)
  public static let mlp = PromptKind(MLPPrompt.self)
  public static let lstm = PromptKind(LSTMPrompt.self)
  public static let prefix = PromptKind(PrefixPrompt.self)
  public static let prefixMLP = PromptKind(PrefixMLPPrompt.self)
  public static let pool = PromptKind(PoolPrompt.self)
  public static let multitask = PromptKind(MultitaskPrompt.self)

  public static var allCases: [PromptKind] { kinds.map { PromptKind($0) } }

  public let rawValue: String

  /// - Returns: nil for an unknown name.
  public init?(rawValue: String) {
    guard PromptKind.kinds.contains(where: { $0.name == rawValue }) else { return nil }
    self.rawValue = rawValue
  }

  private init(_ kind: any TunablePrompt.Type) { rawValue = kind.name }

  /// The type behind the name.
  public var kind: any TunablePrompt.Type { PromptKind.kinds.first { $0.name == rawValue } ?? NoPrompt.self }
}

/// What a prompt is built from.
public struct PromptRequest {
  public var model: any LanguageModel
  public var codec: TextCodec
  /// Virtual tokens, or rows in front of each layer.
  public var length: Int
  public var options: PromptOptions
  public var start: PromptInitialization
  /// The names of the classes, for a prompt that starts from them.
  public var labels: [String]
  /// Tasks that a prompt tells apart.
  public var taskCount: Int
  public var isTrainable: Bool
  /// The seed of everything that is drawn at random.
  public var seed: UInt64

  public init(
    model: any LanguageModel, codec: TextCodec, length: Int, options: PromptOptions = PromptOptions(),
    start: PromptInitialization, labels: [String] = [], taskCount: Int = 1, isTrainable: Bool = true,
    seed: UInt64 = 0
  ) {
    self.model = model
    self.codec = codec
    self.length = length
    self.options = options
    self.start = start
    self.labels = labels
    self.taskCount = taskCount
    self.isTrainable = isTrainable
    self.seed = seed
  }

  /// The prompt of a kind, placed as the options say.
  ///
  /// - Throws: `MethodError.refused` with the reason for what makes no sense.
  public func prompt(_ kind: PromptKind) throws -> any Prompt {
    let prompt = try kind.kind.init(self)
    let isInFront = options.position == .front || options.position == .count(length)
    guard let vectors = prompt as? any VectorPrompt, !isInFront || options.length != .fixed else { return prompt }
    return try PlacedPrompt(vectors, self)
  }

  /// The starting vectors of `count` virtual tokens, `[count, embeddingWidth]`, row-major.
  func startValues(_ count: Int? = nil) throws -> [Float] {
    try start.values(length: count ?? length, model: model, codec: codec, labels: labels, seed: seed)
  }
}
