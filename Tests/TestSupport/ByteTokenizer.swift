import Tokenizers

/// A tokenizer with one token for each byte, an end token 256 and, if wanted, a begin token 257 in front of every text.
public struct ByteTokenizer: Tokenizer {
  public let addsBeginToken: Bool
  public let endToken: Int32? = 256
  public let padToken: Int32? = nil

  public init(addsBeginToken: Bool = false) { self.addsBeginToken = addsBeginToken }

  public var vocabularySize: Int { addsBeginToken ? 258 : 257 }
  public var beginToken: Int32? { addsBeginToken ? 257 : nil }

  public func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    (addSpecialTokens && addsBeginToken ? [257] : []) + text.utf8.map { Int32($0) }
  }

  public func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
    String(decoding: ids.compactMap { UInt8(exactly: $0) }, as: UTF8.self)
  }

  public func token(for id: Int32) -> String? {
    switch id {
    case 0..<256: String(UnicodeScalar(UInt8(id)))
    case 256: "<end>"
    case 257: addsBeginToken ? "<begin>" : nil
    default: nil
    }
  }
}
