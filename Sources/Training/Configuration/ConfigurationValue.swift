import Foundation

/// A value of a configuration key, from a file or the command line.
public enum ConfigurationValue: Sendable, Hashable {
  case string(String)
  case integer(Int)
  case number(Double)
  case boolean(Bool)
  case list([String])

  /// What kind of value it is, for messages.
  var kind: String {
    switch self {
    case .string: "a string"
    case .integer: "a whole number"
    case .number: "a number"
    case .boolean: "true or false"
    case .list: "a list of strings"
    }
  }
}

/// Keys with their values, and where they come from.
public struct ConfigurationLayer: Sendable {
  /// A file, or "command line".
  public let origin: String
  public private(set) var entries: [(key: String, value: ConfigurationValue)] = []

  public init(origin: String) { self.origin = origin }

  public mutating func set(_ key: String, _ value: String?) { if let value { append(key, .string(value)) } }
  public mutating func set(_ key: String, _ value: Int?) { if let value { append(key, .integer(value)) } }
  public mutating func set(_ key: String, _ value: Double?) { if let value { append(key, .number(value)) } }
  public mutating func set(_ key: String, _ value: Bool?) { if let value { append(key, .boolean(value)) } }
  public mutating func set(_ key: String, _ value: [String]) { if !value.isEmpty { append(key, .list(value)) } }
  /// Sets the key where the flag was given.
  public mutating func set(_ key: String, flag: Bool) { if flag { append(key, .boolean(true)) } }

  mutating func append(_ key: String, _ value: ConfigurationValue) { entries.append((key, value)) }

  func value(_ key: String) -> ConfigurationValue? { entries.last { $0.key == key }?.value }
}
