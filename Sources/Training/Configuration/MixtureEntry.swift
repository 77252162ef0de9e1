/// A file of a mixture and its weight, written `FILE=WEIGHT`.
public struct MixtureEntry: Sendable, Hashable {
  public var path: String
  public var weight: Double

  /// - Throws: `TrainingError.configuration` for anything else; the last `=` separates the two.
  public init(argument: String) throws {
    func broken(_ reason: String) -> TrainingError { .configuration(origin: "mix", reason: "'\(argument)' \(reason)") }
    guard let mark = argument.lastIndex(of: "="), mark > argument.startIndex else {
      throw broken("is not FILE=WEIGHT")
    }
    guard let weight = Double(argument[argument.index(after: mark)...]), weight.isFinite, weight > 0 else {
      throw broken("has no positive number behind the last '='")
    }
    path = String(argument[..<mark])
    self.weight = weight
  }
}
