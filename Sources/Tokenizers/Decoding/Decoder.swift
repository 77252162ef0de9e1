/// The decoder of a tokenizer: what becomes of tokens on the way back to text.
indirect enum Decoder: Sendable {
  /// Reads printable characters back as bytes.
  case byteLevel
  case metaspace(replacement: UInt32, dropsFirst: Bool)
  /// Takes the prefix off tokens that continue a word, and puts a space in front of others.
  case wordPiece(prefix: [UInt8], cleansUp: Bool)
  case replace(TextPattern, with: [UInt8])
  /// Reads runs of `<0x00>` to `<0xFF>` as UTF-8.
  case byteFallback
  /// Makes all tokens one.
  case fuse
  /// Takes up to so many of a character off the ends of each token.
  case strip(UInt32, start: Int, stop: Int)
  case sequence([Decoder])

  /// The decoded tokens, to be joined.
  func apply(_ tokens: [[UInt8]]) -> [[UInt8]] {
    switch self {
    case .byteLevel:
      return [Array(UTF8Scalars.decodeReplacingErrors(tokens.flatMap(ByteAlphabet.read)).utf8)]
    case .metaspace(let replacement, let dropsFirst):
      return tokens.enumerated().map { index, token in
        Self.mapScalars(token) { scalar, result in
          if scalar != replacement {
            UTF8Scalars.append(scalar, to: &result)
          } else if index > 0 || !dropsFirst {
            result.append(0x20)
          }
        }
      }
    case .wordPiece(let prefix, let cleansUp):
      return tokens.enumerated().map { index, token in
        let joined: [UInt8]
        if index == 0 {
          joined = token
        } else {
          joined = token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
        }
        return cleansUp ? Self.cleanUp(joined) : joined
      }
    case .replace(let pattern, let content):
      return tokens.map { Normalizer.replace(pattern, with: content).apply($0) }
    case .byteFallback:
      return Self.readBytes(tokens)
    case .fuse:
      return [Array(tokens.joined())]
    case .strip(let content, let start, let stop):
      return tokens.map { Self.strip($0, content, start, stop) }
    case .sequence(let decoders):
      return decoders.reduce(tokens) { $1.apply($0) }
    }
  }

  private static func mapScalars(_ token: [UInt8], _ append: (UInt32, inout [UInt8]) -> Void) -> [UInt8] {
    var result: [UInt8] = []
    token.withUnsafeBufferPointer { UTF8Scalars.forEach($0) { append($0, &result) } }
    return result
  }

  /// English spacing rules of the WordPiece decoder, in their order.
  private static let cleanUps: [(TextPattern, [UInt8])] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
    (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ].map { (.literal(Array($0.0.utf8)), Array($0.1.utf8)) }

  private static func cleanUp(_ token: [UInt8]) -> [UInt8] {
    cleanUps.reduce(token) { Normalizer.replace($1.0, with: $1.1).apply($0) }
  }

  /// The byte of a token such as `<0x0A>`, or nil.
  private static func byte(_ token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: Array("<0x".utf8)), token[5] == UInt8(ascii: ">") else { return nil }
    let digits = token[3..<5]
    // As in the reference, a plus sign may stand in front of one digit.
    return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
  }

  private static func readBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var run: [UInt8] = []
    func finishRun() {
      if run.isEmpty { return }
      if String(validating: run, as: UTF8.self) != nil {
        result.append(run)
      } else {
        result.append(contentsOf: repeatElement([0xEF, 0xBF, 0xBD], count: run.count))
      }
      run = []
    }
    for token in tokens {
      if let byte = byte(token) {
        run.append(byte)
      } else {
        finishRun()
        result.append(token)
      }
    }
    finishRun()
    return result
  }

  private static func strip(_ token: [UInt8], _ content: UInt32, _ start: Int, _ stop: Int) -> [UInt8] {
    let scalars = token.withUnsafeBufferPointer(UTF8Scalars.decode)
    var low = 0
    while low < min(start, scalars.count) && scalars[low] == content { low += 1 }
    var high = scalars.count
    while high > low && scalars.count - high < stop && scalars[high - 1] == content { high -= 1 }
    return UTF8Scalars.encode(Array(scalars[low..<high]))
  }
}
