import Foundation

/// A `config.json`, with lookups that name the file and the key when something is wrong.
public struct ConfigurationFile {
  public let url: URL
  private let object: [String: Any]
  /// Stands in front of keys in messages: the object's own key and a period.
  private let place: String

  private init(url: URL, object: [String: Any], place: String) {
    self.url = url
    self.object = object
    self.place = place
  }

  /// - Throws: `CheckpointError` if the file is missing or not a JSON object.
  public init(url: URL) throws {
    self.url = url
    let data = try CheckpointError.map(url)
    guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw CheckpointError.malformed(path: url.path, reason: "not a JSON object")
    }
    self.object = object
    place = ""
  }

  /// The keys, sorted.
  public var keys: [String] { object.keys.sorted() }

  /// A whole number, or nil if the key is absent or null.
  public func optionalInteger(_ key: String) throws -> Int? {
    guard let value = present(key) else { return nil }
    guard !isBoolean(value), let number = value as? Int else { throw error(key, "is not a whole number") }
    return number
  }

  /// Sizes beyond this are refused, so that no product of a few of them overflows.
  static let largestSize = Int(Int32.max)

  /// A whole number of at least `minimum`.
  public func integer(_ key: String, atLeast minimum: Int = 1) throws -> Int {
    guard let number = try optionalInteger(key, atLeast: minimum) else { throw error(key, "is missing") }
    return number
  }

  /// A whole number of at least `minimum`, or nil if the key is absent or null.
  public func optionalInteger(_ key: String, atLeast minimum: Int) throws -> Int? {
    guard let number = try optionalInteger(key) else { return nil }
    guard number >= minimum else { throw error(key, "is \(number), at least \(minimum) is needed") }
    guard number <= Self.largestSize else { throw error(key, "is \(number), at most \(Self.largestSize) is possible") }
    return number
  }

  /// A whole number of at least `minimum`, nil if the key is null, the default if it is absent.
  func optionalInteger(_ key: String, atLeast minimum: Int, ifAbsent fallback: Int) throws -> Int? {
    object[key] == nil ? fallback : try optionalInteger(key, atLeast: minimum)
  }

  /// A number, or the default if the key is absent or null.
  public func number(_ key: String, default fallback: Double) throws -> Double {
    guard let value = present(key) else { return fallback }
    guard !isBoolean(value), let number = value as? Double, number.isFinite else {
      throw error(key, "is not a number")
    }
    return number
  }

  /// A number, or nil if the key is absent or null.
  public func optionalNumber(_ key: String) throws -> Double? {
    present(key) == nil ? nil : try number(key, default: 0)
  }

  /// An object inside this one, or nil if the key is absent or null.
  public func optionalObject(_ key: String) throws -> ConfigurationFile? {
    guard let value = present(key) else { return nil }
    guard let inner = value as? [String: Any] else { throw error(key, "is not an object") }
    return ConfigurationFile(url: url, object: inner, place: "\(place)\(key).")
  }

  /// A list of strings, or nil if the key is absent or null.
  public func optionalStrings(_ key: String) throws -> [String]? {
    guard let value = present(key) else { return nil }
    guard let strings = value as? [String] else { throw error(key, "is not a list of strings") }
    return strings
  }

  /// A list of pairs of a list of strings and a whole number, or nil if the key is absent or null.
  func optionalRepeatedStrings(_ key: String) throws -> [(strings: [String], count: Int)]? {
    guard let value = present(key) else { return nil }
    let pairs = (value as? [[Any]])?.map { pair -> ([String], Int)? in
      guard pair.count == 2, let strings = pair[0] as? [String], !isBoolean(pair[1]), let count = pair[1] as? Int,
        (0...Self.largestSize).contains(count)
      else { return nil }
      return (strings, count)
    }
    guard let pairs, !pairs.contains(where: { $0 == nil }) else {
      throw error(key, "is not a list of pairs of strings and a number")
    }
    return pairs.compactMap { $0 }
  }

  /// The names of `id2label` in the order of their numbers; empty if there are none.
  func labels() throws -> [String] {
    guard let names = try optionalObject("id2label") else { return [] }
    return try names.keys.indices.map { number in
      guard let name = try names.optionalString(String(number)) else {
        throw names.error(String(number), "is missing")
      }
      return name
    }
  }

  /// Whether a key is absent or null.
  func isNull(_ key: String) -> Bool { present(key) == nil }

  /// Whether a key holds `{}` or `[]`.
  func isEmptyCollection(_ key: String) -> Bool {
    (present(key) as? [Any])?.isEmpty ?? (present(key) as? [String: Any])?.isEmpty ?? false
  }

  /// A truth value, or the default if the key is absent or null.
  public func boolean(_ key: String, default fallback: Bool) throws -> Bool {
    guard let value = present(key) else { return fallback }
    guard isBoolean(value), let truth = value as? Bool else { throw error(key, "is neither true nor false") }
    return truth
  }

  /// A string, or nil if the key is absent or null.
  public func optionalString(_ key: String) throws -> String? {
    guard let value = present(key) else { return nil }
    guard let string = value as? String else { throw error(key, "is not a string") }
    return string
  }

  /// One id, or a list of them; empty if the key is absent or null.
  public func identifiers(_ key: String) throws -> [Int32] {
    guard let value = present(key) else { return [] }
    let ids = (value as? [Any] ?? [value]).map { item -> Int32? in
      guard !isBoolean(item), let number = item as? Int, let id = Int32(exactly: number), id >= 0 else { return nil }
      return id
    }
    guard !ids.contains(nil) else { throw error(key, "is neither a token id nor a list of them") }
    return ids.compactMap { $0 }
  }

  /// The same object with some values replaced, as JSON with sorted keys.
  func json(replacing values: [String: Any]) throws -> Data {
    var changed = object
    for (key, value) in values { changed[key] = value }
    return try JSONSerialization.data(
      withJSONObject: changed, options: [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes])
  }

  public func error(_ key: String, _ reason: String) -> CheckpointError {
    .badConfiguration(path: url.path, key: place + key, reason: reason)
  }

  private func present(_ key: String) -> Any? {
    guard let value = object[key], !(value is NSNull) else { return nil }
    return value
  }

  private func isBoolean(_ value: Any) -> Bool {
    // Foundation hands out true and 1 alike as NSNumber; only the Objective-C type tells them apart.
    guard let number = value as? NSNumber else { return value is Bool }
    return String(cString: number.objCType) == "c"
  }
}
