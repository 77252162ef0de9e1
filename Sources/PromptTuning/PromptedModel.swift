import Autodiff
import Compute
import LanguageModels

/// A language model that reads a prompt in front of its text.
public final class PromptedModel {
  public let model: any LanguageModel
  public let prompt: any Prompt

  public init(model: any LanguageModel, prompt: any Prompt) {
    self.model = model
    self.prompt = prompt
  }

  public var backend: any ComputeBackend { model.backend }

  /// What is trained: of the prompt and of the model, whatever is not frozen.
  public var trainableParameters: [Parameter] { (prompt.parameters + model.parameters).filter(\.isTrainable) }

  /// All parameters, the prompt's first.
  public var parameters: [Parameter] { prompt.parameters + model.parameters }

  /// The negative log-likelihood of every target token, examples end to end.
  ///
  /// The last token of an example predicts nothing and is not computed; hidden states are computed up to the last layer
  /// for all other rows, and in the last layer for those that predict a target token.
  ///
  /// - Returns: the losses `[sum of target counts]` in the order of the examples.
  public func losses(_ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    precondition(examples.allSatisfy { !$0.context.isEmpty }, "a context has at least one token")
    let sequences = examples.map {
      PackedSequence(length: $0.context.count + $0.target.count - 1, outputs: $0.target.count)
    }
    let batch = try PackedBatch.causal(promptLength: prompt.length, sequences, on: backend)
    let tokens = examples.flatMap { $0.context + $0.target.dropLast() }
    let hidden = try model.encode(try embed(tokens, on: tape), batch, cache: nil, on: tape)
    return try model.losses(hidden, try backend.indices(examples.flatMap(\.target)), on: tape)
  }

  /// The prompt and the embedded tokens: `[prompt length + tokens, embeddingWidth]`.
  public func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable {
    let embedded = try model.embed(tokens, on: tape)
    guard let vectors = try prompt.vectors(on: tape) else { return embedded }
    return try tape.scope("prompt") { try tape.concatRows([vectors, embedded]) }
  }
}
