import LanguageModels
import Tokenizers

/// A tokenizer together with what a model says about special tokens.
public struct TextCodec: Sendable {
  public let tokenizer: any Tokenizer
  /// The end token that is appended to targets and scored.
  public let endToken: Int32
  /// The tokens at which generation stops.
  public let stopTokens: Set<Int32>
  /// What the tokenizer puts in front of a text (a beginning-of-sequence token), if anything.
  public let opening: [Int32]
  /// What ends the input of an encoder: the end token; nothing where one model reads input and target alike.
  public let closing: [Int32]
  /// What separates an input from its target where both stand in one text: a newline; nothing behind an encoder.
  public let separator: String
  /// Ids below this have an embedding in the model.
  public let embeddingCount: Int

  /// - Throws: `MethodError.tokenizer` if neither tokenizer nor configuration knows an end token, or the model has no
  ///   embedding for it.
  public init(tokenizer: any Tokenizer, facts: ModelFacts, generationEndTokens: [Int32] = []) throws {
    self.tokenizer = tokenizer
    embeddingCount = facts.vocabularySize
    guard let endToken = tokenizer.specialTokens.end?.id ?? facts.endTokens.first else {
      throw MethodError.tokenizer("neither the tokenizer nor config.json names an end token (eos_token)")
    }
    guard Int(endToken) < facts.vocabularySize else {
      throw MethodError.tokenizer(
        "the end token \(endToken) is outside the model's vocabulary of \(facts.vocabularySize)")
    }
    self.endToken = endToken
    let hasEncoder = facts.kind == .encoderDecoder
    closing = hasEncoder ? [endToken] : []
    separator = hasEncoder ? "" : "\n"
    stopTokens = Set([endToken] + facts.endTokens + generationEndTokens)
    let plain = tokenizer.encode("a", addSpecialTokens: false)
    let full = tokenizer.encode("a", addSpecialTokens: true)
    if let first = plain.first, let start = full.firstIndex(of: first) {
      opening = Array(full[..<start])
    } else {
      opening = []
    }
  }

  /// Token ids without special tokens.
  public func encode(_ text: String) -> [Int32] { tokenizer.encode(text, addSpecialTokens: false) }

  /// The text of token ids, special tokens left out.
  public func decode(_ tokens: [Int32]) -> String { tokenizer.decode(tokens, skipSpecialTokens: true) }
}
