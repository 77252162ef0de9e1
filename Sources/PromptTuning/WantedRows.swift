import LanguageModels

/// The final hidden states that a head reads of each example.
///
/// What they stand behind, a prompt in front of the text or anywhere else, is the model's business: rows of the text are
/// meant wherever they lie.
public enum WantedRows: Sendable, Hashable {
  /// Those that predict the tokens of the target, one for each of them.
  case targets
  /// That of the first row that the model reads, which is the prompt's first one where a prompt stands in front (as in
  /// PEFT).
  case first
  /// That of the text's last token.
  case last
  /// That of the mask token.
  case mask
  /// Those of all tokens of the text, special tokens included, without the prompt's.
  case text
  /// Those of the first token of each word.
  case words
  /// That of the last one of these tokens, which the decoder behind an encoder reads after its start token.
  case decoder([Int32])

  /// How many of an example there are.
  public func count(of example: EncodedExample) -> Int {
    switch self {
    case .targets: example.target.count
    case .first, .last, .mask, .decoder: 1
    case .text: example.context.count
    case .words: example.wordPlaces.count
    }
  }

  /// - Throws: `MethodError.refused` with the reason if a model has no such rows, or they say nothing.
  public func check(_ facts: ModelFacts) throws {
    func refuse(_ reason: String) -> MethodError { .refused("'\(facts.modelType)' \(reason)") }
    switch (self, facts.kind) {
    case (.targets, .encoder): throw refuse("is an encoder, which has no losses of a next token")
    case (.first, .causal):
      throw refuse("reads from left to right: its first token knows nothing of the text; last and mean do")
    case (.mask, .causal), (.mask, .encoderDecoder):
      throw refuse("has no mask token to read; first, last or mean may do")
    case (.decoder, .causal), (.decoder, .encoder): throw refuse("has no decoder behind an encoder")
    default: return
    }
  }
}
