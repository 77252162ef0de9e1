import Autodiff
import Compute
import LanguageModels

/// Which rows a model reads for each example, and which of them it answers for; heads know nothing of it.
extension PromptedModel {
  /// The final hidden states that are wanted, examples end to end: `[sum of wanted rows, hiddenWidth]`.
  ///
  /// Up to the last layer all rows are computed; in the last layer only those that are wanted. A row that nothing wanted
  /// depends on, such as a target's last token, is not computed at all.
  ///
  /// - Throws: `MethodError.refused` if the model has no such rows or an example no mask token; `ComputeError`.
  public func hiddenStates(_ examples: [EncodedExample], _ wanted: WantedRows, on tape: Tape) throws -> Variable {
    try wanted.check(model.facts)
    precondition(examples.allSatisfy { !$0.context.isEmpty }, "a context has at least one token")
    if let model = model as? any EncoderDecoderModel {
      switch wanted {
      case .targets:
        return try decoderStates(
          examples, of: model, reading: examples.map { [model.decoderStartToken] + $0.target.dropLast() },
          outputs: examples.map(\.target.count), on: tape)
      case .decoder(let tokens):
        return try decoderStates(
          examples, of: model, reading: examples.map { _ in [model.decoderStartToken] + tokens },
          outputs: examples.map { _ in 1 }, on: tape)
      case .first, .last, .mask, .text: return try bidirectionalStates(examples, wanted, on: tape)
      }
    }
    return model.facts.kind == .causal
      ? try causalStates(examples, wanted, on: tape) : try bidirectionalStates(examples, wanted, on: tape)
  }

  /// The states of a causal model, whose prompt stands once in front of all examples.
  private func causalStates(_ examples: [EncodedExample], _ wanted: WantedRows, on tape: Tape) throws -> Variable {
    let readsTarget = wanted == .targets
    let sequences = examples.map {
      PackedSequence(
        length: $0.context.count + (readsTarget ? $0.target.count - 1 : 0), outputs: wanted.count(of: $0))
    }
    let batch = try PackedBatch.causal(promptLength: prompt.length, sequences, on: backend)
    let tokens = examples.flatMap { readsTarget ? $0.context + $0.target.dropLast() : $0.context }
    return try model.encode(try embed(tokens, on: tape), batch, cache: nil, on: tape)
  }

  /// The states of an encoder, whose prompt stands in front of each example.
  private func bidirectionalStates(_ examples: [EncodedExample], _ wanted: WantedRows, on tape: Tape) throws -> Variable
  {
    let outputs: BidirectionalOutputs =
      switch wanted {
      case .first: .first
      case .last: .rows(examples.map { [prompt.length + $0.context.count - 1] })
      case .mask: .rows(try examples.map { [prompt.length + (try $0.requiredMaskPosition())] })
      case .text, .targets, .decoder: .text
      }
    return try encodeBidirectionally(examples.map(\.context), outputs: outputs, on: tape)
  }

  /// The states of a decoder at its last tokens, behind an encoder that reads the prompt and the contexts.
  private func decoderStates(
    _ examples: [EncodedExample], of model: any EncoderDecoderModel, reading tokens: [[Int32]], outputs: [Int],
    on tape: Tape
  ) throws -> Variable {
    let encoded = try encodeBidirectionally(examples.map(\.context), on: tape)
    let batch = try DecoderBatch.causal(
      zip(tokens, outputs).map { PackedSequence(length: $0.count, outputs: $1) },
      memory: bidirectionalRows(examples.map(\.context.count)), memoryCount: encoded.shape[0], on: backend)
    return try model.decode(
      try model.embed(tokens.flatMap { $0 }, on: tape), batch, memory: try model.memory(of: encoded, on: tape),
      cache: nil, on: tape)
  }
}

extension EncodedExample {
  /// Where the mask token stands in the context.
  ///
  /// - Throws: `MethodError.refused` if there is none.
  func requiredMaskPosition() throws -> Int {
    guard let maskPosition, context.indices.contains(maskPosition) else {
      throw MethodError.refused("\(source): the text has no mask token to read; a template with {mask} has one")
    }
    return maskPosition
  }
}
