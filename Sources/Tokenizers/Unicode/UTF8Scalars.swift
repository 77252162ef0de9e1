/// Reading Unicode scalar values from UTF-8 bytes.
enum UTF8Scalars {
  /// What stands at a place: a scalar, or the maximal part of a well-formed sequence that is broken off there.
  struct Element {
    /// The scalar, or nil where the bytes are not UTF-8.
    let scalar: UInt32?
    /// The number of bytes, at least 1.
    let length: Int
  }

  /// The element that starts at `position`, which must be inside `bytes`.
  ///
  /// The ranges of second bytes are those of the Unicode Standard, table 3-7: no surrogates, no overlong forms.
  @inline(__always)
  static func element(in bytes: UnsafeBufferPointer<UInt8>, at position: Int) -> Element {
    let first = bytes[position]
    if first < 0x80 { return Element(scalar: UInt32(first), length: 1) }
    let count: Int
    var low: UInt8 = 0x80
    var high: UInt8 = 0xBF
    switch first {
    case 0xC2...0xDF: count = 1
    case 0xE0...0xEF:
      count = 2
      if first == 0xE0 { low = 0xA0 }
      if first == 0xED { high = 0x9F }
    case 0xF0...0xF4:
      count = 3
      if first == 0xF0 { low = 0x90 }
      if first == 0xF4 { high = 0x8F }
    default: return Element(scalar: nil, length: 1)
    }
    var scalar = UInt32(first) & (0x3F >> UInt32(count))
    for offset in 1...count {
      guard position + offset < bytes.count, case let byte = bytes[position + offset], byte >= low, byte <= high else {
        return Element(scalar: nil, length: offset)
      }
      scalar = scalar << 6 | UInt32(byte & 0x3F)
      low = 0x80
      high = 0xBF
    }
    return Element(scalar: scalar, length: count + 1)
  }

  /// The bytes as text, with U+FFFD for each part that is not UTF-8.
  static func decodeReplacingErrors(_ bytes: [UInt8]) -> String {
    bytes.withUnsafeBufferPointer { buffer in
      if let text = String(validating: buffer, as: UTF8.self) { return text }
      var repaired: [UInt8] = []
      repaired.reserveCapacity(buffer.count + 16)
      var position = 0
      while position < buffer.count {
        let element = element(in: buffer, at: position)
        if element.scalar == nil {
          repaired.append(contentsOf: [0xEF, 0xBF, 0xBD])
        } else {
          repaired.append(contentsOf: buffer[position..<position + element.length])
        }
        position += element.length
      }
      return String(decoding: repaired, as: UTF8.self)
    }
  }

  /// Appends the UTF-8 form of a scalar value, which must not be a surrogate.
  static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
    switch scalar {
    case 0..<0x80:
      bytes.append(UInt8(scalar))
    case 0x80..<0x800:
      bytes.append(0xC0 | UInt8(scalar >> 6))
      bytes.append(0x80 | UInt8(scalar & 0x3F))
    case 0x800..<0x10000:
      bytes.append(0xE0 | UInt8(scalar >> 12))
      bytes.append(0x80 | UInt8(scalar >> 6 & 0x3F))
      bytes.append(0x80 | UInt8(scalar & 0x3F))
    default:
      bytes.append(0xF0 | UInt8(scalar >> 18))
      bytes.append(0x80 | UInt8(scalar >> 12 & 0x3F))
      bytes.append(0x80 | UInt8(scalar >> 6 & 0x3F))
      bytes.append(0x80 | UInt8(scalar & 0x3F))
    }
  }

  /// Calls `body` with each scalar of well-formed UTF-8.
  @inline(__always)
  static func forEach(_ bytes: UnsafeBufferPointer<UInt8>, _ body: (UInt32) -> Void) {
    var position = 0
    while position < bytes.count {
      if bytes[position] < 0x80 {
        body(UInt32(bytes[position]))
        position += 1
        continue
      }
      let element = element(in: bytes, at: position)
      guard let scalar = element.scalar else { preconditionFailure("well-formed UTF-8 is expected") }
      body(scalar)
      position += element.length
    }
  }

  /// The scalars of well-formed UTF-8.
  static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt32] {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(bytes.count)
    forEach(bytes) { scalars.append($0) }
    return scalars
  }

  /// The UTF-8 form of scalars.
  static func encode(_ scalars: [UInt32]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(scalars.count * 2)
    for scalar in scalars { append(scalar, to: &bytes) }
    return bytes
  }

  /// The number of bytes of a scalar.
  @inline(__always)
  static func length(of scalar: UInt32) -> Int {
    scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4
  }
}
