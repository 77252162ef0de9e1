import Autodiff
import Compute
import LanguageModels

/// A prompted model with a head: from examples to losses and answers.
public final class TaskModel {
  public let prompted: PromptedModel
  public let head: any TaskHead
  private let dropout: HeadDropout?

  /// - Parameters:
  ///   - head: built for the model of `prompted`.
  ///   - dropout: that of the request that the head was built from.
  public init(_ prompted: PromptedModel, head: any TaskHead, dropout: HeadDropout? = nil) {
    self.prompted = prompted
    self.head = head
    self.dropout = dropout
  }

  /// Tells what random choices depend on: what is recorded from now on are the losses of a step's examples, in order.
  public func begin(step: Int) {
    prompted.begin(step: step)
    dropout?.begin(step: step)
  }

  public var backend: any ComputeBackend { prompted.backend }

  /// All parameters: the prompt's, the head's own and the model's.
  ///
  /// A tensor of the model whose place the head has taken is left out.
  public var parameters: [Parameter] {
    let names = Set(head.parameters.map(\.name))
    return prompted.prompt.parameters + head.parameters + prompted.model.parameters.filter { !names.contains($0.name) }
  }

  /// What is trained.
  public var trainableParameters: [Parameter] { parameters.filter(\.isTrainable) }

  /// How many losses an example has.
  public func lossCount(of example: EncodedExample) -> Int { head.lossCount(of: example) }

  /// The losses of examples, end to end: `[sum of loss counts]`.
  public func losses(_ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    let hidden = try prompted.hiddenStates(examples, head.wanted, on: tape)
    return try tape.scope("head") { try head.losses(hidden, examples, on: tape) }
  }

  /// How many answers an example has.
  public func answerCount(of example: EncodedExample) -> Int { head.answerCount(of: example) }

  /// The losses of examples, and what the head answers, `[sum of answer counts, outputs]`; nil where it writes text.
  public func assessment(_ examples: [EncodedExample], on tape: Tape) throws -> (losses: Variable, scores: Variable?) {
    let hidden = try prompted.hiddenStates(examples, head.wanted, on: tape)
    return try tape.scope("head") {
      (
        try head.losses(hidden, examples, on: tape),
        type(of: head).answers == .text ? nil : try head.scores(hidden, examples, on: tape)
      )
    }
  }

  /// Scores of the labels, or a value, examples end to end: `[sum of answer counts][outputs]`.
  ///
  /// - Throws: `MethodError.refused` for a head that writes text.
  public func scores(_ examples: [EncodedExample]) throws -> [[Float]] {
    let tape = Tape(backend, isRecording: false)
    let hidden = try prompted.hiddenStates(examples, head.wanted, on: tape)
    let scores = try head.scores(hidden, examples, on: tape).value
    let values = try backend.values(scores)
    let width = scores.shape.columns
    return (0..<scores.shape[0]).map { Array(values[$0 * width..<($0 + 1) * width]) }
  }
}

extension TaskModel {
  /// The head's tensors as they are now, for an adapter.
  public func keptModules() throws -> [SavedModule] {
    try head.keptParameters.map {
      SavedModule(name: $0.name, shape: $0.shape, values: try backend.values($0.value))
    }
  }

  /// What PEFT is told that the model is for.
  public var adapterTask: AdapterTask {
    head.layout.map { AdapterTask(reading: $0.token) } ?? AdapterTask(prompted.model.facts.kind)
  }
}

extension TaskModel {
  /// A prompted model with its own output layer, which writes text.
  public convenience init(_ prompted: PromptedModel) {
    self.init(prompted, head: LanguageModelHead(model: prompted.model))
  }
}
