/// A strict JSON (RFC 8259) reader over bytes.
///
/// Refused, with line and column: text that is not UTF-8, a byte-order mark, a key that comes twice in an object, an
/// escape that does not exist, half a surrogate pair, control characters in strings, anything after the value, and
/// nesting deeper than 128 levels.
package struct JSONReader {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let file: String
  private var position = 0
  private var depth = 0

  private static let maximumDepth = 128

  private init(bytes: UnsafeBufferPointer<UInt8>, file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// The value that a file holds.
  ///
  /// Throws `TokenizerError.syntax`.
  package static func parse(_ bytes: [UInt8], file: String) throws -> JSONValue {
    try bytes.withUnsafeBufferPointer { buffer in
      var reader = JSONReader(bytes: buffer, file: file)
      reader.skipSpace()
      let value = try reader.readValue()
      reader.skipSpace()
      guard reader.position == buffer.count else { throw reader.failure("text after the end of the JSON value") }
      return value
    }
  }

  /// The line and column, from 1, of an offset.
  static func place(of offset: Int, in bytes: some Collection<UInt8>) -> (line: Int, column: Int) {
    var line = 1
    var column = 1
    for byte in bytes.prefix(offset) {
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else {
        column += 1
      }
    }
    return (line, column)
  }

  private func failure(_ detail: String, at offset: Int? = nil) -> TokenizerError {
    let place = Self.place(of: offset ?? position, in: bytes)
    return .syntax(file: file, line: place.line, column: place.column, detail: detail)
  }

  private func peek() -> UInt8? {
    position < bytes.count ? bytes[position] : nil
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  private mutating func readValue() throws -> JSONValue {
    guard let byte = peek() else { throw failure("the file ends where a JSON value should stand") }
    let start = position
    let content: JSONValue.Content
    switch byte {
    case UInt8(ascii: "{"): content = .object(try readObject())
    case UInt8(ascii: "["): content = .array(try readArray())
    case UInt8(ascii: "\""): content = .string(try readString())
    case UInt8(ascii: "t"): content = try readWord("true", .bool(true))
    case UInt8(ascii: "f"): content = try readWord("false", .bool(false))
    case UInt8(ascii: "n"): content = try readWord("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): content = .number(try readNumber())
    default: throw failure("no JSON value starts with this character")
    }
    return JSONValue(content: content, offset: start)
  }

  private mutating func readWord(_ word: StaticString, _ content: JSONValue.Content) throws -> JSONValue.Content {
    let length = word.utf8CodeUnitCount
    guard position + length <= bytes.count,
      bytes[position..<position + length].elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: length))
    else { throw failure("expected \(word)") }
    position += length
    return content
  }

  private mutating func readNumber() throws -> [UInt8] {
    let start = position
    func isDigit(_ byte: UInt8?) -> Bool {
      guard let byte else { return false }
      return byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }
    if peek() == UInt8(ascii: "-") { position += 1 }
    guard isDigit(peek()) else { throw failure("a digit is missing") }
    if peek() == UInt8(ascii: "0") {
      position += 1
      if isDigit(peek()) { throw failure("a number with a leading zero", at: start) }
    }
    while isDigit(peek()) { position += 1 }
    if peek() == UInt8(ascii: ".") {
      position += 1
      guard isDigit(peek()) else { throw failure("a digit is missing") }
      while isDigit(peek()) { position += 1 }
    }
    if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
      position += 1
      if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { position += 1 }
      guard isDigit(peek()) else { throw failure("a digit is missing") }
      while isDigit(peek()) { position += 1 }
    }
    return Array(bytes[start..<position])
  }

  private mutating func enter() throws {
    depth += 1
    if depth > Self.maximumDepth { throw failure("nested more than \(Self.maximumDepth) levels deep") }
    position += 1
    skipSpace()
  }

  /// Reads the comma behind an element, or the closing bracket; true where another element follows.
  private mutating func continues(_ close: UInt8, _ missing: String) throws -> Bool {
    skipSpace()
    switch peek() {
    case UInt8(ascii: ","):
      position += 1
      skipSpace()
      return true
    case close:
      position += 1
      depth -= 1
      return false
    default:
      throw failure(peek() == nil ? "the file ends too early" : "expected \(missing)")
    }
  }

  private mutating func readArray() throws -> [JSONValue] {
    var elements: [JSONValue] = []
    try enter()
    if peek() == UInt8(ascii: "]") {
      position += 1
      depth -= 1
      return elements
    }
    repeat {
      elements.append(try readValue())
    } while try continues(UInt8(ascii: "]"), "a comma or a closing bracket")
    return elements
  }

  private mutating func readObject() throws -> [JSONValue.Member] {
    var members: [JSONValue.Member] = []
    var keys: Set<[UInt8]> = []
    try enter()
    if peek() == UInt8(ascii: "}") {
      position += 1
      depth -= 1
      return members
    }
    repeat {
      let start = position
      guard peek() == UInt8(ascii: "\"") else {
        throw failure(peek() == nil ? "the file ends too early" : "expected a key in double quotes")
      }
      let key = try readString()
      guard keys.insert(key).inserted else {
        throw failure("the key \"\(String(decoding: key, as: UTF8.self))\" comes twice", at: start)
      }
      skipSpace()
      guard peek() == UInt8(ascii: ":") else {
        throw failure(peek() == nil ? "the file ends too early" : "expected a colon")
      }
      position += 1
      skipSpace()
      members.append(JSONValue.Member(key: key, value: try readValue()))
    } while try continues(UInt8(ascii: "}"), "a comma or a closing brace")
    return members
  }

  private mutating func readString() throws -> [UInt8] {
    position += 1
    var text: [UInt8] = []
    var copied = position
    while true {
      guard let byte = peek() else { throw failure("the file ends inside a string") }
      switch byte {
      case UInt8(ascii: "\""):
        text.append(contentsOf: bytes[copied..<position])
        position += 1
        return text
      case UInt8(ascii: "\\"):
        text.append(contentsOf: bytes[copied..<position])
        try readEscape(into: &text)
        copied = position
      case 0..<0x20:
        throw failure("a control character in a string must be escaped")
      case 0x20..<0x80:
        position += 1
      default:
        let element = UTF8Scalars.element(in: bytes, at: position)
        guard element.scalar != nil else { throw failure("a byte that is not UTF-8") }
        position += element.length
      }
    }
  }

  private mutating func readEscape(into text: inout [UInt8]) throws {
    let start = position
    position += 1
    guard let byte = peek() else { throw failure("the file ends inside a string") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var scalar = try readHexadecimal(from: start)
      if scalar >= 0xDC00 && scalar < 0xE000 { throw failure("half a surrogate pair", at: start) }
      if scalar >= 0xD800 && scalar < 0xDC00 {
        guard peek() == UInt8(ascii: "\\"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u") else {
          throw failure("half a surrogate pair", at: start)
        }
        position += 2
        let second = try readHexadecimal(from: start)
        guard second >= 0xDC00 && second < 0xE000 else { throw failure("half a surrogate pair", at: start) }
        scalar = 0x10000 + (scalar - 0xD800) << 10 + (second - 0xDC00)
      }
      UTF8Scalars.append(scalar, to: &text)
    default:
      throw failure("an escape that JSON does not know", at: start)
    }
  }

  private mutating func readHexadecimal(from start: Int) throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 0x80 else {
        throw failure("\\u needs four hexadecimal digits", at: start)
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
