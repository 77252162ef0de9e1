import Testing

@testable import Tokenizers

@Suite struct JSONReaderTests {
  private func parse(_ text: String) throws -> JSONValue {
    try JSONReader.parse(Array(text.utf8), file: "f.json")
  }

  private func message(_ bytes: [UInt8]) -> String {
    do {
      _ = try JSONReader.parse(bytes, file: "f.json")
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  private func string(_ value: JSONValue?) -> [UInt8]? {
    if case .string(let bytes)? = value?.content { return bytes }
    return nil
  }

  @Test func readsEveryKind() throws {
    let value = try parse(" {\"a\": [1, -2.5e+3, 0], \"b\":true,\"c\":false, \"d\":null, \"e\":{}, \"f\":[] }\r\n\t")
    guard case .object(let members) = value.content else { throw TokenizerError.unreadable(file: "", detail: "") }
    #expect(members.map { String(decoding: $0.key, as: UTF8.self) } == ["a", "b", "c", "d", "e", "f"])
    guard case .array(let numbers)? = value["a"]?.content else { throw TokenizerError.unreadable(file: "", detail: "") }
    let written = numbers.map { value in
      if case .number(let digits) = value.content { return String(decoding: digits, as: UTF8.self) }
      return "?"
    }
    #expect(written == ["1", "-2.5e+3", "0"])
    #expect(value["d"]?.isNull == true)
    #expect(value["missing"] == nil)
  }

  @Test func readsEscapes() throws {
    let value = try parse(#"["\"\\\/\b\f\n\r\t", "\u00e9\u0000", "\ud83d\ude42", "é🙂"]"#)
    guard case .array(let elements) = value.content else { throw TokenizerError.unreadable(file: "", detail: "") }
    #expect(string(elements[0]) == Array("\"\\/\u{8}\u{c}\n\r\t".utf8))
    #expect(string(elements[1]) == [0xC3, 0xA9, 0])
    #expect(string(elements[2]) == Array("🙂".utf8))
    #expect(string(elements[3]) == Array("é🙂".utf8))
  }

  @Test func keysAreBytes() throws {
    let value = try parse("{\"e\u{301}\": 1, \"\u{E9}\": 2}")
    guard case .object(let members) = value.content else { throw TokenizerError.unreadable(file: "", detail: "") }
    #expect(members.count == 2)
  }

  @Test(arguments: [
    ("", "f.json:1:1: the file ends where a JSON value should stand"),
    ("{\"a\": 1,\n \"a\": 2}", "f.json:2:2: the key \"a\" comes twice"),
    ("{\"a\": 1, \"\\u0061\": 2}", "f.json:1:10: the key \"a\" comes twice"),
    ("[1 2]", "f.json:1:4: expected a comma or a closing bracket"),
    ("[1,]", "f.json:1:4: no JSON value starts with this character"),
    ("{\"a\" 1}", "f.json:1:6: expected a colon"),
    ("{a: 1}", "f.json:1:2: expected a key in double quotes"),
    ("[01]", "f.json:1:2: a number with a leading zero"),
    ("[1.]", "f.json:1:4: a digit is missing"),
    ("[-]", "f.json:1:3: a digit is missing"),
    ("[1e]", "f.json:1:4: a digit is missing"),
    ("[tru]", "f.json:1:2: expected true"),
    ("[NaN]", "f.json:1:2: no JSON value starts with this character"),
    ("\"\\x\"", "f.json:1:2: an escape that JSON does not know"),
    ("\"\\ud83d\"", "f.json:1:2: half a surrogate pair"),
    ("\"\\ud83dx\"", "f.json:1:2: half a surrogate pair"),
    ("\"\\ud83d\\u0041\"", "f.json:1:2: half a surrogate pair"),
    ("\"\\ude42\"", "f.json:1:2: half a surrogate pair"),
    ("\"\\u12g4\"", "f.json:1:2: \\u needs four hexadecimal digits"),
    ("\"a\nb\"", "f.json:1:3: a control character in a string must be escaped"),
    ("\"abc", "f.json:1:5: the file ends inside a string"),
    ("{} x", "f.json:1:4: text after the end of the JSON value"),
    ("\u{FEFF}{}", "f.json:1:1: no JSON value starts with this character"),
    ("{\"a\": [", "f.json:1:8: the file ends where a JSON value should stand"),
    ("{\"a\": 1", "f.json:1:8: the file ends too early"),
  ])
  func refuses(_ text: String, _ expected: String) {
    #expect(message(Array(text.utf8)) == expected)
  }

  @Test func refusesWhatIsNotUTF8() {
    #expect(message([0x22, 0xC3, 0x28, 0x22]) == "f.json:1:2: a byte that is not UTF-8")
    #expect(message([0x22, 0xED, 0xA0, 0x80, 0x22]) == "f.json:1:2: a byte that is not UTF-8")
  }

  @Test func refusesDeepNesting() {
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
    #expect(message(deep) == "f.json:1:129: nested more than 128 levels deep")
  }
}
