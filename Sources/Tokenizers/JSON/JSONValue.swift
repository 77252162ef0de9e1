/// A parsed JSON value, with the place it was read from.
///
/// Strings are UTF-8 bytes, because `String` compares by canonical equivalence: as dictionary keys, "é" as one scalar
/// and as two would be one vocabulary entry, and they are different tokens. `JSONSerialization` merges such keys.
package struct JSONValue: Sendable {
  package enum Content: Sendable {
    case null
    case bool(Bool)
    /// The number as it is written.
    case number([UInt8])
    case string([UInt8])
    case array([JSONValue])
    /// Members in the file's order; no key comes twice.
    case object([Member])
  }

  /// A key and its value.
  package struct Member: Sendable {
    package let key: [UInt8]
    package let value: JSONValue
  }

  package let content: Content
  /// The offset of the value's first byte in the file.
  package let offset: Int

  /// The kind of value, for error messages.
  package var kind: String {
    switch content {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }

  package var isNull: Bool {
    if case .null = content { return true }
    return false
  }

  /// The value of a key, or nil where the object lacks it (or this is no object).
  package subscript(key: String) -> JSONValue? {
    guard case .object(let members) = content else { return nil }
    return members.first { $0.key.elementsEqual(key.utf8) }?.value
  }
}
