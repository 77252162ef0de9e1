import Autodiff
import Compute
import LanguageModels

/// A number from one hidden state or the mean of all: the layers of a classifier with one output.
///
/// The loss is the squared difference to the label.
public final class RegressorHead: TaskHead {
  public static let name = "regressor"
  public static let summary = "the same with one output, which learns a number"
  public static let answers = HeadAnswers.value

  public static let isTrained = true

  private let layers: AnswerLayers

  public static func isStored(reading token: StoredClassifier.Token, outputs: Int) -> Bool {
    token != .every && outputs == 1
  }

  public init(_ request: HeadRequest) throws {
    guard request.labelWords == nil, request.labels.isEmpty else {
      throw MethodError.refused("--labels and --label-words name classes; --head \(Self.name) learns numbers")
    }
    layers = try AnswerLayers(request, answers: 1)
  }

  public var parameters: [Parameter] { layers.parameters }
  public var keptParameters: [Parameter] { layers.keptParameters }
  public var layout: ClassifierLayout? { layers.layout }
  public var token: HeadToken? { layers.token }
  public var wanted: WantedRows { layers.wanted }

  public func losses(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    let values = try examples.map { example in
      guard case .value(let value) = example.answer else {
        throw MethodError.badField(source: example.source, key: "label", reason: "is missing")
      }
      return -Float(value)
    }
    let labels = tape.constant(try tape.backend.tensor(values, [values.count]), name: "labels")
    let predictions = try tape.reshape(try scores(hidden, examples, on: tape), [values.count])
    let differences = try tape.add(predictions, labels)
    return try tape.multiply(differences, differences)
  }

  public func scores(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    try layers(hidden, examples, on: tape)
  }
}
