import Foundation

/// A `config.json`, with lookups that name the file and the key when something is wrong.
public struct ConfigurationFile {
  public let url: URL
  private let object: [String: Any]

  /// - Throws: `CheckpointError` if the file is missing or not a JSON object.
  public init(url: URL) throws {
    self.url = url
    let data = try CheckpointError.map(url)
    guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw CheckpointError.malformed(path: url.path, reason: "not a JSON object")
    }
    self.object = object
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

  /// A number, or the default if the key is absent or null.
  public func number(_ key: String, default fallback: Double) throws -> Double {
    guard let value = present(key) else { return fallback }
    guard !isBoolean(value), let number = value as? Double, number.isFinite else {
      throw error(key, "is not a number")
    }
    return number
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
  public func json(replacing values: [String: String]) throws -> Data {
    var changed = object
    for (key, value) in values { changed[key] = value }
    return try JSONSerialization.data(
      withJSONObject: changed, options: [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes])
  }

  public func error(_ key: String, _ reason: String) -> CheckpointError {
    .badConfiguration(path: url.path, key: key, reason: reason)
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
