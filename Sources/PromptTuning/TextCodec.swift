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
  /// What ends the input of an encoder: the end token, or what the tokenizer puts behind a text.
  ///
  /// Nothing where one model reads input and target alike.
  public let closing: [Int32]
  /// What separates an input from its target where both stand in one text: a newline; nothing behind an encoder.
  public let separator: String
  /// What stands for a word to be guessed; nil where the model does not know such a token.
  public let maskToken: SpecialToken?
  /// Ids below this have an embedding in the model.
  public let embeddingCount: Int

  /// - Throws: `MethodError.tokenizer` if neither tokenizer nor configuration knows an end token, or the model has no
  ///   embedding for it.
  public init(tokenizer: any Tokenizer, facts: ModelFacts, generationEndTokens: [Int32] = []) throws {
    self.tokenizer = tokenizer
    embeddingCount = facts.vocabularySize
    let (prefix, suffix) = tokenizer.affixes
    opening = prefix
    maskToken = facts.kind == .encoder ? tokenizer.specialTokens.mask : nil
    guard
      let endToken = facts.kind == .encoder
        ? suffix.last ?? tokenizer.specialTokens.end?.id : tokenizer.specialTokens.end?.id ?? facts.endTokens.first
    else {
      throw MethodError.tokenizer("neither the tokenizer nor config.json names an end token (eos_token)")
    }
    guard Int(endToken) < facts.vocabularySize else {
      throw MethodError.tokenizer(
        "the end token \(endToken) is outside the model's vocabulary of \(facts.vocabularySize)")
    }
    self.endToken = endToken
    switch facts.kind {
    case .causal: (closing, separator) = ([], "\n")
    case .encoderDecoder: (closing, separator) = ([endToken], "")
    case .encoder: (closing, separator) = (suffix, "")
    }
    stopTokens = Set([endToken] + facts.endTokens + generationEndTokens)
  }

  /// Token ids without special tokens.
  public func encode(_ text: String) -> [Int32] { tokenizer.encode(text, addSpecialTokens: false) }

  /// The text of token ids, special tokens left out.
  public func decode(_ tokens: [Int32]) -> String { tokenizer.decode(tokens, skipSpecialTokens: true) }
}
