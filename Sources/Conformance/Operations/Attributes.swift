import Foundation

/// A JSON value: an attribute as a vector file or the table of cases has it.
public enum AttributeValue: Sendable, Hashable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
  case array([AttributeValue])
  case object([String: AttributeValue])
}

extension AttributeValue: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .string(value)
    } else if let value = try? container.decode([AttributeValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: AttributeValue].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let values): try container.encode(values)
    case .object(let values): try container.encode(values)
    }
  }
}

extension AttributeValue: ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(integerLiteral value: Int) { self = .number(Double(value)) }
  public init(stringLiteral value: String) { self = .string(value) }
  public init(arrayLiteral elements: AttributeValue...) { self = .array(elements) }
  public init(dictionaryLiteral elements: (String, AttributeValue)...) {
    self = .object(Dictionary(elements) { _, last in last })
  }
  public init(nilLiteral: ()) { self = .null }
}

extension AttributeValue: CustomStringConvertible {
  public var description: String {
    switch self {
    case .null: "none"
    case .bool(let value): String(value)
    case .number(let value): Int(exactly: value).map(String.init) ?? String(value)
    case .string(let value): value
    case .array(let values): "[" + values.map(\.description).joined(separator: ", ") + "]"
    case .object(let values):
      "{" + values.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ") + "}"
    }
  }
}

/// An attribute of an operation, for `--list` and for what a case may say.
public struct AttributeDocumentation: Sendable {
  public let name: String
  /// The value where nothing is said; nil if it must be given, `.null` if absence means "none" or is derived.
  public let defaultValue: AttributeValue?
  public let text: String
  /// Only our own cases have it; in a vector file it is unknown.
  public let isInternal: Bool

  init(_ name: String, _ defaultValue: AttributeValue?, _ text: String, isInternal: Bool = false) {
    self.name = name
    self.defaultValue = defaultValue
    self.text = text
    self.isInternal = isInternal
  }
}

/// The attributes of one call: what was given over what is documented.
struct AttributeValues: Sendable {
  private let operation: String
  private let values: [String: AttributeValue]

  /// - Throws: `ConformanceError.unknownAttribute`, `.invalidCall` if a needed one is missing.
  init(
    _ given: [String: AttributeValue], of operation: String, documented: [AttributeDocumentation],
    allowsInternal: Bool
  ) throws {
    let known = documented.filter { allowsInternal || !$0.isInternal }
    for name in given.keys.sorted() where !known.contains(where: { $0.name == name }) {
      throw ConformanceError.unknownAttribute(operation: operation, name)
    }
    var values = given
    for attribute in documented where values[attribute.name] == nil {
      guard let value = attribute.defaultValue else {
        throw ConformanceError.invalidCall("attribute `\(attribute.name)` is missing")
      }
      values[attribute.name] = value
    }
    self.operation = operation
    self.values = values
  }

  subscript(_ name: String) -> AttributeValue { values[name] ?? .null }

  private func wrong(_ name: String, _ wanted: String) -> ConformanceError {
    .invalidCall("attribute `\(name)` is \(self[name]), not \(wanted)")
  }

  func bool(_ name: String) throws -> Bool {
    guard case .bool(let value) = self[name] else { throw wrong(name, "true or false") }
    return value
  }

  func double(_ name: String) throws -> Double {
    guard case .number(let value) = self[name] else { throw wrong(name, "a number") }
    return value
  }

  func float(_ name: String) throws -> Float { Float(try double(name)) }

  func int(_ name: String) throws -> Int {
    guard case .number(let value) = self[name], let result = Int(exactly: value) else {
      throw wrong(name, "a whole number")
    }
    return result
  }

  func natural(_ name: String) throws -> UInt64 {
    guard let value = UInt64(exactly: try int(name)) else { throw wrong(name, "a whole number from 0") }
    return value
  }

  func optionalInt(_ name: String) throws -> Int? { self[name] == .null ? nil : try int(name) }

  func string(_ name: String) throws -> String {
    guard case .string(let value) = self[name] else { throw wrong(name, "a string") }
    return value
  }

  /// One of the names of an enumeration.
  func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String, _ type: Choice.Type) throws -> Choice {
    let given = try string(name)
    guard let choice = Choice(rawValue: given) else {
      throw wrong(name, "one of " + type.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return choice
  }
}
