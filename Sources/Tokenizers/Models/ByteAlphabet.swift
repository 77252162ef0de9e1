/// The alphabet in which byte-level vocabularies spell bytes: one printable character for each.
///
/// Bytes that are printable in Latin-1 stand for themselves; the other 68 become the scalars from U+0100 on, in
/// order. So a space is U+0120, `Ġ`. Source: the GPT-2 encoder, Radford et al. 2019.
enum ByteAlphabet {
  /// The scalar of each byte, below U+0144.
  static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
      default:
        defer { next += 1 }
        return next
      }
    }
  }()

  /// The byte of each scalar below U+0144, or nil for those that stand for none.
  private static let bytes: [UInt8?] = {
    var bytes = [UInt8?](repeating: nil, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = UInt8(byte) }
    return bytes
  }()

  /// Bytes spelled in the alphabet, as UTF-8.
  static func spell(_ text: some Sequence<UInt8>) -> [UInt8] {
    var spelled: [UInt8] = []
    for byte in text { UTF8Scalars.append(scalars[Int(byte)], to: &spelled) }
    return spelled
  }

  /// The bytes that a token stands for; a token with any character outside the alphabet stands for its own UTF-8.
  static func read(_ token: [UInt8]) -> [UInt8] {
    token.withUnsafeBufferPointer { buffer in
      var read: [UInt8] = []
      read.reserveCapacity(buffer.count)
      var position = 0
      while position < buffer.count {
        let element = UTF8Scalars.element(in: buffer, at: position)
        guard let scalar = element.scalar, Int(scalar) < bytes.count, let byte = bytes[Int(scalar)] else {
          return token
        }
        read.append(byte)
        position += element.length
      }
      return read
    }
  }

  /// The ids of the tokens `<0x00>` to `<0xFF>`, -1 for those that the vocabulary lacks.
  static func fallbackIDs(_ vocabulary: Vocabulary) -> [Int32] {
    (0..<256).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return vocabulary[Array("<0x\(byte < 16 ? "0" : "")\(digits)>".utf8)] ?? -1
    }
  }
}
