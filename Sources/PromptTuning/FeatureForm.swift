import Compute
import LanguageModels

/// How the final hidden states of a text without a prompt become the vector that networks of a prompt read.
public enum FeatureForm: Sendable, Hashable {
  /// The mean over the tokens of the text.
  case mean
  /// The mean over so many rows, of which those behind the text are padding with this token.
  ///
  /// Padding is not seen: the rows of the text are what they are without it, and each row of padding attends to the text
  /// from where it stands. A text that is as long or longer has none.
  case paddedMean(length: Int, token: Int32)

  /// What the options ask for.
  ///
  /// - Throws: `MethodError.refused` where a model or its tokenizer has no such padding.
  init(_ request: PromptRequest) throws {
    switch request.options.features {
    case .mean: self = .mean
    case .paddedMean:
      let facts = request.model.facts
      guard let model = request.model as? any EncoderDecoderModel else {
        throw MethodError.refused(
          "--features padded-mean is what the released code of dynamic prompting does with T5; what '\(facts.modelType)' "
            + "makes of padding is not defined")
      }
      guard let token = request.codec.tokenizer.specialTokens.pad?.id ?? model.padToken,
        (0..<facts.vocabularySize).contains(Int(token))
      else {
        throw MethodError.refused(
          "--features padded-mean: neither the tokenizer nor config.json names a padding token of the vocabulary")
      }
      self = .paddedMean(length: request.options.featureLength, token: token)
    }
  }

  /// How many rows a text of so many tokens takes.
  func rows(_ count: Int) -> Int {
    switch self {
    case .mean: count
    case .paddedMean(let length, _): max(count, length)
    }
  }

  /// What is read of texts, end to end.
  func tokens(_ texts: [[Int32]]) -> [Int32] {
    switch self {
    case .mean: texts.flatMap { $0 }
    case .paddedMean(_, let token):
      texts.flatMap { $0 + [Int32](repeating: token, count: rows($0.count) - $0.count) }
    }
  }

  /// Texts end to end, all of whose states are wanted.
  func batch(_ lengths: [Int], _ kind: ModelKind, on backend: any ComputeBackend) throws -> PackedBatch {
    guard case .paddedMean = self else {
      return kind == .causal
        ? try PackedBatch.causal(promptLength: 0, lengths.map { PackedSequence(length: $0, outputs: $0) }, on: backend)
        : try PackedBatch.bidirectional(promptLength: 0, lengths, on: backend)
    }
    var positions: [Int32] = []
    var segments: [AttentionSegment] = []
    for length in lengths {
      let text = positions.count..<positions.count + length
      let padding = text.upperBound..<text.lowerBound + rows(length)
      positions += (0..<rows(length)).map(Int32.init)
      segments.append(AttentionSegment(queries: text, own: text, causal: false))
      segments.append(AttentionSegment(queries: padding, own: text, causal: false, gap: padding.count))
    }
    return PackedBatch(
      positions: try backend.indices(positions),
      layout: try AttentionLayout(segments: segments, queryCount: positions.count, keyCount: positions.count))
  }
}
