/// A file of a mixture and its weight, written `FILE=WEIGHT`, or `FILE=WEIGHT:PRESET` for a file with a task of its own.
public struct MixtureEntry: Sendable, Hashable {
  public var path: String
  public var weight: Double
  /// The task of this file; nil for the one of the run.
  public var preset: String?

  /// - Throws: `TrainingError.configuration` for anything else; the last `=` separates file and weight.
  public init(argument: String) throws {
    func broken(_ reason: String) -> TrainingError { .configuration(origin: "mix", reason: "'\(argument)' \(reason)") }
    guard let mark = argument.lastIndex(of: "="), mark > argument.startIndex else {
      throw broken("is not FILE=WEIGHT")
    }
    let parts = argument[argument.index(after: mark)...].split(
      separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let weight = parts.first.flatMap({ Double($0) }), weight.isFinite, weight > 0 else {
      throw broken("has no positive number behind the last '='")
    }
    path = String(argument[..<mark])
    self.weight = weight
    preset = parts.count == 2 ? String(parts[1]) : nil
  }
}
