/// The first axis: how an example is put into tokens before the model sees it.
public protocol Template: Sendable {
  /// The demonstrations that stand in front of an example, first one first.
  ///
  /// - Parameter round: changes what a random choice gives from one pass over the data to the next.
  func demonstrations(for example: Example, round: Int) throws -> [Example]

  /// How similar the most similar demonstration is to an example; nil where similarity does not choose.
  func similarity(of example: Example) -> Double?
}

extension Template {
  public func similarity(of example: Example) -> Double? { nil }
}

/// What may be cut from an example that does not fit.
public struct Truncation: OptionSet, Sendable, Hashable, Codable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Whole demonstrations, the first ones first.
  public static let demonstrations = Truncation(rawValue: 1)
  /// Tokens at the start of the input.
  public static let inputStart = Truncation(rawValue: 2)
  /// Tokens at the end of the input; the newline, or the end token of an encoder's input, stays.
  public static let inputEnd = Truncation(rawValue: 4)
  /// The ends of a template's fields, the longest ones first.
  public static let longestFields = Truncation(rawValue: 8)
  /// The ends of a template's fields, the last one first.
  public static let lastFields = Truncation(rawValue: 16)

  /// The words of `--truncate`.
  public static let names: [(name: String, value: Truncation)] = [
    ("demonstrations", .demonstrations), ("input-start", .inputStart), ("input-end", .inputEnd),
    ("fields-longest", .longestFields), ("fields-last", .lastFields),
  ]

  /// How fields are cut; nil where they are not.
  var fieldCut: FieldCut? {
    contains(.longestFields) ? .longestFirst : contains(.lastFields) ? .tail : nil
  }
}
