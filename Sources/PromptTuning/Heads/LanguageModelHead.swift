import Autodiff
import Compute
import LanguageModels

/// The model's own output layer, scored on the target's tokens.
public final class LanguageModelHead: TaskHead {
  public static let name = "language-model"
  public static let summary = "the target's tokens"
  public static let answers = HeadAnswers.text

  private let model: any LanguageModel

  public init(_ request: HeadRequest) throws {
    guard request.token == nil else {
      throw MethodError.refused(
        "--head-token makes no sense with --head \(Self.name), which reads the rows that predict the target")
    }
    try WantedRows.targets.check(request.model.facts)
    model = request.model
  }

  /// For a model whose losses are all that is needed.
  public init(model: any LanguageModel) { self.model = model }

  public var wanted: WantedRows { .targets }

  public func lossCount(of example: EncodedExample) -> Int { example.target.count }

  public func losses(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    try model.losses(hidden, try model.backend.indices(examples.flatMap(\.target)), on: tape)
  }

  public func scores(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    throw MethodError.refused("--head \(Self.name) writes text and has no scores of labels")
  }
}
