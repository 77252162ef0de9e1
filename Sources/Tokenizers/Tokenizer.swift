/// A text tokenizer: text to the ids of a checkpoint's vocabulary, and back.
///
/// Ids equal those of the reference implementation (Hugging Face tokenizers) on every text. Only the normaliser that the
/// files ask for changes text, and tokens are compared by their UTF-8 bytes.
public protocol Tokenizer: Sendable {
  /// The number of tokens, added tokens included.
  ///
  /// A checkpoint's embedding may have more rows (padding), and where the ids have gaps the largest id is larger.
  var vocabularySize: Int { get }

  /// The tokens with a role that the checkpoint's files name.
  var specialTokens: SpecialTokens { get }

  /// The ids that special tokens add in front of a text and behind it, such as a beginning-of-sequence token.
  var affixes: (prefix: [Int32], suffix: [Int32]) { get }

  /// The ids of a text.
  ///
  /// `addSpecialTokens` puts around it what the checkpoint's post-processor asks for (often nothing). Added tokens
  /// inside the text are found in either case.
  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32]

  /// The ids of each of several words, which stand in one text with a space between.
  ///
  /// As transformers has them with `is_split_into_words`: each word is put into tokens for itself. Tokenizers that split
  /// as GPT-2's does have a space in front of each, which transformers calls `add_prefix_space` and asks for with them.
  func encode(words: [String]) -> [[Int32]]

  /// The text of ids.
  ///
  /// Ids outside the vocabulary give nothing. Bytes that are not UTF-8 become U+FFFD, one for each maximal part of a
  /// well-formed sequence. With `skipSpecialTokens` the special ones give nothing either.
  func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String

  /// A token as the vocabulary spells it, or nil for an id outside the vocabulary.
  ///
  /// A byte-level vocabulary writes bytes as printable characters: a space is `Ġ`.
  func token(for id: Int32) -> String?

  /// The id of a token in the vocabulary's own spelling, compared byte by byte.
  func id(for token: String) -> Int32?
}

extension Tokenizer {
  /// The ids of a text as the checkpoint's tokenizer gives them by default, special tokens included.
  public func encode(_ text: String) -> [Int32] {
    encode(text, addSpecialTokens: true)
  }

  public func encode(words: [String]) -> [[Int32]] {
    words.map { encode($0, addSpecialTokens: false) }
  }
}

/// A token with a role, such as the end of a sequence.
public struct SpecialToken: Sendable {
  /// The token as the vocabulary spells it.
  public let content: String
  /// Its id.
  public let id: Int32

  public init(content: String, id: Int32) {
    self.content = content
    self.id = id
  }
}

/// The special tokens of a tokenizer and their roles.
public struct SpecialTokens: Sendable {
  /// `bos_token`, which opens a sequence.
  public var begin: SpecialToken?
  /// `eos_token`, which ends a sequence.
  public var end: SpecialToken?
  /// `pad_token`, which fills up a batch.
  public var pad: SpecialToken?
  /// `unk_token`, which stands for what the vocabulary cannot express.
  public var unknown: SpecialToken?
  /// `cls_token`, which opens a text for classification.
  public var classification: SpecialToken?
  /// `sep_token`, which stands between and behind texts.
  public var separator: SpecialToken?
  /// `mask_token`, which stands for a word to be guessed.
  public var mask: SpecialToken?
  /// The ids that `decode(_:skipSpecialTokens:)` leaves out.
  public var ids: Set<Int32> = []

  public init() {}
}
