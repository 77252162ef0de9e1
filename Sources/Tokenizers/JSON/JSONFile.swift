import Foundation

/// A JSON file of a checkpoint, with the accessors that turn a wrong value into an error with its place.
struct JSONFile {
  /// The file's path, as it stands in errors.
  let path: String
  let root: JSONValue

  /// Reads and parses a file.
  ///
  /// Throws `TokenizerError.unreadable` or `.syntax`.
  init(_ url: URL) throws {
    path = url.path
    root = try JSONReader.parse(Self.bytes(of: url), file: url.path)
    guard case .object = root.content else {
      throw TokenizerError.invalid(file: path, place: "top level", detail: "\(root.kind) where an object is expected")
    }
  }

  /// Stands for a file of another format, in errors.
  init(path: String) {
    self.path = path
    root = JSONValue(content: .null, offset: 0)
  }

  /// The bytes of a file.
  ///
  /// Throws `TokenizerError.unreadable`.
  static func bytes(of url: URL) throws -> [UInt8] {
    do {
      return [UInt8](try Data(contentsOf: url))
    } catch {
      let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      let reason =
        cause.flatMap { $0.domain == NSPOSIXErrorDomain ? String(cString: strerror(Int32($0.code))) : nil }
        ?? "cannot be read"
      throw TokenizerError.unreadable(file: url.path, detail: reason)
    }
  }

  func invalid(_ place: String, _ detail: String) -> TokenizerError {
    .invalid(file: path, place: place, detail: detail)
  }

  func unsupported(_ place: String, _ detail: String) -> TokenizerError {
    .unsupported(file: path, place: place, detail: detail)
  }

  private func mismatch(_ value: JSONValue, _ place: String, _ expected: String) -> TokenizerError {
    invalid(place, "\(value.kind) where \(expected) is expected")
  }

  /// A boolean, or nil where the key is absent or null.
  func bool(_ object: JSONValue, _ key: String, _ place: String) throws -> Bool? {
    guard let value = object[key], !value.isNull else { return nil }
    guard case .bool(let result) = value.content else { throw mismatch(value, "\(place)\(key)", "a boolean") }
    return result
  }

  /// A string's bytes, or nil where the key is absent or null.
  func bytes(_ object: JSONValue, _ key: String, _ place: String) throws -> [UInt8]? {
    guard let value = object[key], !value.isNull else { return nil }
    guard case .string(let result) = value.content else { throw mismatch(value, "\(place)\(key)", "a string") }
    return result
  }

  /// A string, or nil where the key is absent or null.
  func string(_ object: JSONValue, _ key: String, _ place: String) throws -> String? {
    try bytes(object, key, place).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The elements of an array, or nil where the key is absent or null.
  func array(_ object: JSONValue, _ key: String, _ place: String) throws -> [JSONValue]? {
    guard let value = object[key], !value.isNull else { return nil }
    guard case .array(let result) = value.content else { throw mismatch(value, "\(place)\(key)", "an array") }
    return result
  }

  /// The members of an object.
  func members(_ value: JSONValue, _ place: String) throws -> [JSONValue.Member] {
    guard case .object(let result) = value.content else { throw mismatch(value, place, "an object") }
    return result
  }

  /// A token's id: a whole number from 0 up to `Vocabulary.largestID`.
  func id(_ value: JSONValue, _ place: String) throws -> Int32 {
    guard case .number(let digits) = value.content else { throw mismatch(value, place, "a token id") }
    let text = String(decoding: digits, as: UTF8.self)
    guard let id = Int32(text), id >= 0, id <= Vocabulary.largestID else {
      throw invalid(place, "\(text) is not a token id between 0 and \(Vocabulary.largestID)")
    }
    return id
  }

  /// Refuses keys that are not known: what they ask for would be left out in silence.
  func checkKeys(_ object: JSONValue, _ place: String, _ known: Set<String>) throws {
    for member in try members(object, place) {
      let key = String(decoding: member.key, as: UTF8.self)
      if !known.contains(key) { throw unsupported("\(place)\(key)", "the key \"\(key)\"") }
    }
  }

  /// A value that must be there.
  func required<Value>(_ value: Value?, _ place: String) throws -> Value {
    guard let value else { throw invalid(place, "is missing") }
    return value
  }

  /// A whole number from 0 up to a bound, or nil where the key is absent or null.
  func count(_ object: JSONValue, _ key: String, _ place: String, upTo bound: Int = 1 << 31) throws -> Int? {
    guard let value = object[key], !value.isNull else { return nil }
    guard case .number(let digits) = value.content, let count = Int(String(decoding: digits, as: UTF8.self)),
      count >= 0, count <= bound
    else { throw invalid("\(place)\(key)", "is not a whole number from 0 to \(bound)") }
    return count
  }

  /// The one character of a string, or nil where the key is absent or null.
  func scalar(_ object: JSONValue, _ key: String, _ place: String) throws -> UInt32? {
    guard let text = try string(object, key, place) else { return nil }
    guard text.unicodeScalars.count == 1, let scalar = text.unicodeScalars.first else {
      throw invalid("\(place)\(key)", "is not one character")
    }
    return scalar.value
  }
}
