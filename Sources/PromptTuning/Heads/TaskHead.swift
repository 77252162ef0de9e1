import Autodiff
import Compute
import LanguageModels

/// The third axis: what turns hidden states into losses and predictions.
///
/// A new head is a type in a file of its own and one line in `Head.kinds`. It does not know where the rows come from:
/// `PromptedModel.hiddenStates` gives those that it wants.
public protocol TaskHead: AnyObject {
  /// The name that `--head` takes.
  static var name: String { get }

  /// What it learns from, in the words of `--help`.
  static var summary: String { get }

  /// What the head's answers are.
  static var answers: HeadAnswers { get }

  /// Whether it has tensors of its own to train.
  static var isTrained: Bool { get }

  /// Whether it is the head of checkpoints and adapters whose classifier reads this token and has so many outputs.
  static func isStored(reading token: StoredClassifier.Token, outputs: Int) -> Bool

  /// Builds the head for a model; what it needs of its own starts with the request's seed.
  ///
  /// - Throws: `MethodError.refused` with the reason for a combination that makes no sense.
  init(_ request: HeadRequest) throws

  /// Tensors of its own that the model does not hold.
  var parameters: [Parameter] { get }

  /// Every tensor that belongs to its answer and is kept beside a prompt, those that the model holds included.
  var keptParameters: [Parameter] { get }

  /// Where transformers has its layers, and PEFT a place for the kept tensors (`modules_to_save`); nil where neither
  /// knows such a head.
  var layout: ClassifierLayout? { get }

  /// Whose hidden state it reads, where that is a choice.
  var token: HeadToken? { get }

  /// The hidden states that it reads of each example.
  var wanted: WantedRows { get }

  /// How many answers an example has: rows of `scores`.
  func answerCount(of example: EncodedExample) -> Int

  /// How many losses an example has.
  func lossCount(of example: EncodedExample) -> Int

  /// The losses of examples, end to end: `[sum of loss counts]`.
  ///
  /// - Parameter hidden: the wanted rows, examples end to end.
  func losses(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable

  /// What it answers, examples end to end: scores in the order of the labels, or a value,
  /// `[sum of answer counts, outputs]`.
  ///
  /// - Throws: `MethodError.refused` for a head that writes text.
  func scores(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable
}

extension TaskHead {
  public static var isTrained: Bool { false }
  public static func isStored(reading token: StoredClassifier.Token, outputs: Int) -> Bool { false }
  public var parameters: [Parameter] { [] }
  public var keptParameters: [Parameter] { parameters }
  public var layout: ClassifierLayout? { nil }
  public var token: HeadToken? { nil }

  public func answerCount(of example: EncodedExample) -> Int { 1 }
  public func lossCount(of example: EncodedExample) -> Int { answerCount(of: example) }
}

/// What the answers of a head are.
public enum HeadAnswers: String, Sendable, Hashable {
  /// Text of any length.
  case text
  /// One of the labels.
  case label
  /// One of the labels for each word.
  case labels
  /// A number.
  case value

  /// Whether they are among the labels of a task.
  public var areLabels: Bool { self == .label || self == .labels }
}

/// Whose hidden state a classifier or a regressor reads.
public enum HeadToken: String, Sendable, Hashable, Codable, CaseIterable {
  /// The first row that the model reads.
  case first
  /// The text's last token.
  case last
  /// The mean over the tokens of the text.
  case mean
  /// The mask token.
  case mask

  /// The rows that it takes.
  var wanted: WantedRows {
    switch self {
    case .first: .first
    case .last: .last
    case .mean: .text
    case .mask: .mask
    }
  }
}

/// What a head is built from.
public struct HeadRequest {
  public var model: any LanguageModel
  public var codec: TextCodec
  /// Nil for what suits the model.
  public var token: HeadToken?
  /// The names of the classes in the order of their scores; empty for text and values.
  public var labels: [String]
  /// A word for each class; nil where the labels themselves are the words.
  public var labelWords: [String]?
  public var trainable: Trainable
  /// The seed of new weights.
  public var seed: UInt64
  /// In front of the output layer of a head with layers of its own; nil for none.
  public var dropout: HeadDropout?

  public init(
    model: any LanguageModel, codec: TextCodec, token: HeadToken? = nil, labels: [String] = [],
    labelWords: [String]? = nil, trainable: Trainable = .prompt, seed: UInt64 = 0,
    dropout: HeadDropout? = nil
  ) {
    self.model = model
    self.codec = codec
    self.token = token
    self.labels = labels
    self.labelWords = labelWords
    self.trainable = trainable
    self.seed = seed
    self.dropout = dropout
  }
}
