import Tokenizers

/// A tokenizer with one token for each byte, an end token (256) and, if wanted, a begin token 257 in front of a text.
public struct ByteTokenizer: Tokenizer {
  public let addsBeginToken: Bool
  public let specialTokens: SpecialTokens

  public init(addsBeginToken: Bool = false, endToken: Int32 = 256, padToken: Int32? = nil) {
    self.addsBeginToken = addsBeginToken
    var special = SpecialTokens()
    special.end = SpecialToken(content: "<end>", id: endToken)
    special.begin = addsBeginToken ? SpecialToken(content: "<begin>", id: 257) : nil
    special.ids = addsBeginToken ? [endToken, 257] : [endToken]
    special.pad = padToken.map { SpecialToken(content: "<pad>", id: $0) }
    specialTokens = special
  }

  public var vocabularySize: Int { addsBeginToken ? 258 : 257 }

  public var affixes: (prefix: [Int32], suffix: [Int32]) { (addsBeginToken ? [257] : [], []) }

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

  public func id(for token: String) -> Int32? {
    (0..<Int32(vocabularySize)).first { self.token(for: $0) == token }
  }
}
