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
      case .first, .last, .mask, .text, .words: return try bidirectionalStates(examples, wanted, on: tape)
      }
    }
    return model.facts.kind == .causal
      ? try causalStates(examples, wanted, on: tape) : try bidirectionalStates(examples, wanted, on: tape)
  }

  /// The states of a causal model; what all examples have in front stands there once.
  private func causalStates(_ examples: [EncodedExample], _ wanted: WantedRows, on tape: Tape) throws -> Variable {
    let readsTarget = wanted == .targets
    // Where all tokens of a text are wanted, each example needs its own. And an evaluation gives an example the same bits
    // in whatever batch it stands, so what it reads must not depend on the others.
    let sharing: FrontSharing =
      tape.isRecording && (wanted == .targets || wanted == .last) ? .texts : .virtualTokens
    let rows = try promptedRows(
      examples.map(\.context), closings: examples.map(\.closing), tasks: examples.map(\.task),
      continuations: examples.map { readsTarget ? Array($0.target.dropLast()) : [] }, sharing: sharing, on: tape)
    // Those that are wanted of each example, which lie at its end but for virtual tokens among them.
    let places = zip(examples, rows.lengths).enumerated().map { number, pair in
      switch wanted {
      case .text: rows.textPlaces[number]
      case .words: pair.0.wordPlaces.map { rows.textPlaces[number][$0] }
      default: Array(pair.1 - wanted.count(of: pair.0)..<pair.1)
      }
    }
    let sequences = zip(rows.lengths, places).map { PackedSequence(length: $0, outputs: $0 - ($1.first ?? $0)) }
    let batch = try PackedBatch.causal(
      prefixLength: rows.prefixes?.length ?? 0, promptLength: rows.shared, sequences, on: backend)
    let states = try model.encode(rows.embeddings, batch, prefixes: rows.prefixes, cache: nil, on: tape)
    var chosen: [Int32] = []
    var first = 0
    for (sequence, places) in zip(sequences, places) {
      chosen += places.map { Int32(first + $0 - (sequence.length - sequence.outputs)) }
      first += sequence.outputs
    }
    return chosen.count == states.shape[0] ? states : try tape.selectRows(states, try backend.indices(chosen))
  }

  /// The states of an encoder, in which each example has the prompt to itself.
  private func bidirectionalStates(_ examples: [EncodedExample], _ wanted: WantedRows, on tape: Tape) throws -> Variable
  {
    let rows = try promptedRows(
      examples.map(\.context), closings: examples.map(\.closing), tasks: examples.map(\.task), sharing: .nothing,
      on: tape)
    let outputs: BidirectionalOutputs =
      switch wanted {
      case .first: .first
      case .last: .rows(rows.lengths.map { [$0 - 1] })
      case .mask: .rows(try zip(examples, rows.textPlaces).map { [$1[try $0.requiredMaskPosition()]] })
      case .words:
        .rows(zip(examples, rows.textPlaces).map { example, places in example.wordPlaces.map { places[$0] } })
      case .text, .targets, .decoder: .text
      }
    return try encode(rows, outputs, on: tape)
  }

  /// The states of a decoder at its last tokens, behind an encoder that reads the prompt and the contexts.
  private func decoderStates(
    _ examples: [EncodedExample], of model: any EncoderDecoderModel, reading tokens: [[Int32]], outputs: [Int],
    on tape: Tape
  ) throws -> Variable {
    let rows = try promptedRows(
      examples.map(\.context), closings: examples.map(\.closing), tasks: examples.map(\.task), sharing: .nothing,
      on: tape)
    let encoded = try encode(rows, .all, on: tape)
    let batch = try DecoderBatch.causal(
      prefixLength: rows.prefixes?.length ?? 0,
      zip(tokens, outputs).map { PackedSequence(length: $0.count, outputs: $1) },
      memory: rows.ranges, memoryCount: encoded.shape[0], on: backend)
    return try model.decode(
      try model.embed(tokens.flatMap { $0 }, on: tape), batch, memory: try model.memory(of: encoded, on: tape),
      prefixes: rows.prefixes, cache: nil, on: tape)
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
