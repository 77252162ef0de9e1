/// The label of an example: a class by its name, or a number.
///
/// Whether a number is a class or a value is the head's to say.
public struct ExampleLabel: Sendable, Hashable, Codable, CustomStringConvertible {
  /// What JSON has it as.
  public enum Kind: Int, Sendable, Hashable, Codable, Comparable {
    case boolean
    case integer
    case number
    case string

    public static func < (first: Kind, second: Kind) -> Bool { first.rawValue < second.rawValue }
  }

  /// As JSON writes it, a string without its quotes.
  public var text: String
  public var kind: Kind

  public init(_ text: String, kind: Kind) {
    self.text = text
    self.kind = kind
  }

  /// The value that a regressor learns; nil for a string or a boolean.
  public var value: Double? { kind == .integer || kind == .number ? Double(text) : nil }

  public var description: String { text }

  /// False before true, numbers by value, strings by their UTF-8 bytes.
  static func precedes(_ first: ExampleLabel, _ second: ExampleLabel) -> Bool {
    if let one = first.value, let other = second.value, one != other { return one < other }
    if first.kind != second.kind { return first.kind < second.kind }
    return first.text.utf8.lexicographicallyPrecedes(second.text.utf8)
  }

  /// The different labels in the order in which heads number them where nothing else says so.
  public static func sorted(_ labels: some Sequence<ExampleLabel>) -> [String] {
    var seen: Set<String> = []
    return labels.filter { seen.insert($0.text).inserted }.sorted(by: precedes).map(\.text)
  }
}
