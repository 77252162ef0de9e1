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
  /// Behind an encoder, which reads the context, the decoder reads its start token and the target.
  ///
  /// - Returns: the losses `[sum of target counts]` in the order of the examples.
  public func losses(_ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    let hidden = try hiddenStates(examples, .targets, on: tape)
    return try model.losses(hidden, try backend.indices(examples.flatMap(\.target)), on: tape)
  }

  /// Final hidden states of a bidirectional model, or of an encoder, that reads the prompt in front of each text.
  ///
  /// Where nothing else is asked for: `[sum of prompt length + tokens, hiddenWidth]`, as `bidirectionalRows` has it.
  public func encodeBidirectionally(_ texts: [[Int32]], outputs: BidirectionalOutputs = .all, on tape: Tape) throws
    -> Variable
  {
    let lengths = texts.map(\.count)
    let batch = try PackedBatch.bidirectional(
      promptLength: prompt.length, lengths, outputs: outputs, on: backend)
    let rows = try embed(texts.flatMap { $0 }, on: tape)
    guard prompt.length > 0, lengths.count > 1 else { return try model.encode(rows, batch, cache: nil, on: tape) }
    let sources = PackedBatch.bidirectionalSources(promptLength: prompt.length, lengths)
    return try model.encode(
      try tape.gatherRows(rows, try backend.indices(sources)), batch, cache: nil, on: tape)
  }

  /// The rows of each text among those of all of them, its prompt's included.
  public func bidirectionalRows(_ lengths: [Int]) -> [Range<Int>] {
    var row = 0
    return lengths.map { length in
      defer { row += prompt.length + length }
      return row..<row + prompt.length + length
    }
  }

  /// The prompt and the embedded tokens: `[prompt length + tokens, embeddingWidth]`.
  public func embed(_ tokens: [Int32], on tape: Tape) throws -> Variable {
    let embedded = try model.embed(tokens, on: tape)
    guard let vectors = try prompt.vectors(on: tape) else { return embedded }
    return try tape.scope("prompt") { try tape.concatRows([vectors, embedded]) }
  }
}
