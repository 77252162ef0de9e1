import Autodiff
import Compute
import LanguageModels

/// Scores of labels from one hidden state or the mean of all: a linear layer, with the family's own dense layer in front
/// where transformers has one (BERT's pooler) and another for the mask token (DynaMaR).
///
/// The loss is the cross-entropy of the softmax of the scores.
public final class ClassifierHead: TaskHead {
  public static let name = "classifier"
  public static let summary = "layers of its own, or the checkpoint's, that learn 'label'"
  public static let answers = HeadAnswers.label

  public static let isTrained = true

  private let layers: AnswerLayers

  public static func isStored(reading token: StoredClassifier.Token, outputs: Int) -> Bool {
    token != .every && outputs > 1
  }

  public init(_ request: HeadRequest) throws {
    guard request.labelWords == nil else {
      throw MethodError.refused(
        "--label-words are what --head verbalizer chooses among; --head \(Self.name) learns its labels (--labels)")
    }
    guard request.labels.count > 1 else {
      throw MethodError.refused(
        "--head \(Self.name) needs two labels or more, there "
          + (request.labels.isEmpty ? "are none" : "is one ('\(request.labels[0])')")
          + ": the data's 'label' or --labels names them")
    }
    layers = try AnswerLayers(request, answers: request.labels.count)
  }

  public var parameters: [Parameter] { layers.parameters }
  public var keptParameters: [Parameter] { layers.keptParameters }
  public var layout: ClassifierLayout? { layers.layout }
  public var token: HeadToken? { layers.token }
  public var wanted: WantedRows { layers.wanted }

  public func losses(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    try tape.crossEntropy(
      try scores(hidden, examples, on: tape), try tape.backend.indices(examples.map { try $0.requiredLabel() }))
  }

  public func scores(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    try layers(hidden, examples, on: tape)
  }
}

extension EncodedExample {
  /// The number of the class.
  ///
  /// - Throws: `MethodError.badField` if there is none.
  func requiredLabel() throws -> Int32 {
    guard case .label(let label) = answer else {
      throw MethodError.badField(source: source, key: "label", reason: "is missing")
    }
    return Int32(label)
  }
}
