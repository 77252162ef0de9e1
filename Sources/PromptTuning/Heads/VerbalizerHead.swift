import Autodiff
import Compute
import LanguageModels

/// The model's own output layer over the words of the labels alone (Schick and Schütze, 2021; as in Dynamic Prompting).
///
/// A word stands for its label by the first token of a space and the word. Its score is the token's logit where the next
/// token is predicted: after the text, in place of the mask token of a masked model, or, behind an encoder, after the
/// decoder has read its start token and the first sentinel. The loss is the cross-entropy of the softmax over these words;
/// no other row of the output projection is computed.
public final class VerbalizerHead: TaskHead {
  public static let name = "verbalizer"
  public static let summary = "the model's own scores of the label words"
  public static let answers = HeadAnswers.label

  /// What stands in T5's output for the first gap in its input.
  static let sentinel = "<extra_id_0>"

  public let wanted: WantedRows
  /// The token of each label's word.
  public let wordTokens: [Int32]
  private let model: any LanguageModel

  public init(_ request: HeadRequest) throws {
    model = request.model
    let facts = model.facts
    let words = request.labelWords ?? request.labels
    guard words.count > 1 else {
      throw MethodError.refused(
        "--head \(Self.name) needs two label words or more: --label-words, or the labels themselves")
    }
    guard words.count == request.labels.count else {
      throw MethodError.refused("\(words.count) label words for \(request.labels.count) labels")
    }
    wanted = try Self.rows(facts, request.codec)
    if let token = request.token, token.wanted != wanted {
      throw MethodError.refused(
        "--head-token \(token.rawValue): --head \(Self.name) reads '\(facts.modelType)' where it predicts a token")
    }
    var tokens: [Int32] = []
    for word in words {
      guard
        let token = request.codec.encode(" " + word).first(where: { !Self.isBlank($0, request.codec) })
      else { throw MethodError.refused("--label-words: the word '\(word)' has no token") }
      guard Int(token) < facts.vocabularySize else {
        throw MethodError.refused(
          "--label-words: '\(word)' is token \(token), the model has embeddings for 0..<\(facts.vocabularySize)")
      }
      if let other = tokens.firstIndex(of: token) {
        throw MethodError.refused(
          "--label-words: '\(words[other])' and '\(word)' begin with the same token, so that they cannot be told apart")
      }
      tokens.append(token)
    }
    wordTokens = tokens
    // A checkpoint without an output projection is better refused before anything else happens.
    let tape = Tape(model.backend, isRecording: false)
    let row = tape.constant(try model.backend.zeros([1, facts.hiddenWidth]), name: "hidden")
    _ = try model.logits(row, of: try model.backend.indices(tokens), on: tape)
  }

  private static func rows(_ facts: ModelFacts, _ codec: TextCodec) throws -> WantedRows {
    switch facts.kind {
    case .causal: return .last
    case .encoder:
      guard codec.maskToken != nil else {
        throw MethodError.refused("--head \(name): '\(facts.modelType)' has no mask token to predict a word for")
      }
      return .mask
    case .encoderDecoder:
      guard let token = codec.tokenizer.id(for: sentinel) else {
        throw MethodError.refused("--head \(name): the tokenizer has no token '\(sentinel)' for the decoder to read")
      }
      return .decoder([token])
    }
  }

  /// Whether a token is a space alone, as some vocabularies put it in front of a word.
  private static func isBlank(_ token: Int32, _ codec: TextCodec) -> Bool {
    codec.tokenizer.token(for: token).map { $0 == "\u{2581}" || $0 == "\u{0120}" || $0 == " " } ?? false
  }

  public func losses(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    try tape.crossEntropy(
      try scores(hidden, examples, on: tape), try tape.backend.indices(examples.map { try $0.requiredLabel() }))
  }

  public func scores(_ hidden: Variable, _ examples: [EncodedExample], on tape: Tape) throws -> Variable {
    try model.logits(hidden, of: try model.backend.indices(wordTokens), on: tape)
  }
}
