/// Reads the fields of a protocol-buffer message.
struct ProtocolBufferReader {
  enum Value {
    case number(UInt64)
    case bytes(ArraySlice<UInt8>)
    case float(Float)
  }

  private let data: ArraySlice<UInt8>
  private var position: Int

  init(_ data: ArraySlice<UInt8>) {
    self.data = data
    position = data.startIndex
  }

  /// A message that breaks off, or a kind of field that the format no longer has.
  struct Broken: Error {}

  /// The next field, or nil at the end of the message.
  ///
  /// Throws `Broken`.
  mutating func next() throws -> (field: Int, value: Value)? {
    guard position < data.endIndex else { return nil }
    let tag = try readNumber()
    let field = Int(truncatingIfNeeded: tag >> 3)
    switch tag & 7 {
    case 0: return (field, .number(try readNumber()))
    case 1:
      let bytes = try take(8)
      return (field, .number(bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }))
    case 2:
      guard let count = Int(exactly: try readNumber()) else { throw Broken() }
      return (field, .bytes(try take(count)))
    case 5:
      return (field, .float(Float(bitPattern: try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })))
    default: throw Broken()
    }
  }

  private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
    guard count >= 0, count <= data.endIndex - position else { throw Broken() }
    defer { position += count }
    return data[position..<position + count]
  }

  private mutating func readNumber() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < data.endIndex else { throw Broken() }
      let byte = data[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw Broken()
  }
}
