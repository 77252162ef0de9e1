/// Text to token ids and back, as a checkpoint's tokenizer files say.
public protocol Tokenizer: Sendable {
  /// Ids are below this, added tokens included.
  var vocabularySize: Int { get }
  /// `bos_token`, if the files name one.
  var beginToken: Int32? { get }
  /// `eos_token`, if the files name one.
  var endToken: Int32? { get }
  /// `pad_token`, if the files name one.
  var padToken: Int32? { get }

  /// The ids of a text.
  ///
  /// - Parameter addSpecialTokens: also what the post-processor puts around a text.
  func encode(_ text: String, addSpecialTokens: Bool) -> [Int32]

  /// The text of ids; ids outside the vocabulary give nothing, bytes that are not UTF-8 give U+FFFD.
  func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String

  /// The text that one id stands for, as it is written in the vocabulary; nil outside of it.
  func token(for id: Int32) -> String?
}
