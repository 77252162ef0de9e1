import Autodiff
import Compute
import LanguageModels

/// Scores of labels for each word from the hidden state of its first token: one linear layer, as transformers has it.
///
/// The loss is the cross-entropy of the softmax of the scores, one for each word.
public final class TokenClassifierHead: TaskHead {
  public static let name = "token-classifier"
  public static let summary = "a linear layer of its own, or the checkpoint's, that learns 'labels', one for each word"
  public static let answers = HeadAnswers.labels
  public static let isTrained = true

  private let layers: AnswerLayers

  public static func isStored(reading token: StoredClassifier.Token, outputs: Int) -> Bool { token == .every }

  public init(_ request: HeadRequest) throws {
    guard request.labelWords == nil else {
      throw MethodError.refused(
        "--label-words are what --head verbalizer chooses among; --head \(Self.name) learns its labels (--labels)")
    }
    if let token = request.token {
      throw MethodError.refused(
        "--head-token \(token.rawValue) (of --method dynamar, if not of yours): --head \(Self.name) reads every word")
    }
    guard request.labels.count > 1 else {
      throw MethodError.refused(
        "--head \(Self.name) needs two labels or more, there "
          + (request.labels.isEmpty ? "are none" : "is one ('\(request.labels[0])')")
          + ": the data's 'labels' or --labels name them")
    }
    layers = try AnswerLayers(
      request, answers: request.labels.count, layout: ClassifierLayout(tokensOf: request.model.facts))
  }

  public var parameters: [Parameter] { layers.parameters }
  public var keptParameters: [Parameter] { layers.keptParameters }
  public var layout: ClassifierLayout? { layers.layout }
  public var wanted: WantedRows { .words }

  public func answerCount(of example: EncodedExample) -> Int { wanted.count(of: example) }

  public func losses(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    let labels = try examples.flatMap { example in
      guard case .labels(let labels) = example.answer else {
        throw MethodError.badField(source: example.source, key: "labels", reason: "is missing")
      }
      return labels.map(Int32.init)
    }
    return try tape.crossEntropy(try scores(hidden, examples, on: tape), try tape.backend.indices(labels))
  }

  public func scores(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    try layers(hidden, examples, on: tape)
  }
}
