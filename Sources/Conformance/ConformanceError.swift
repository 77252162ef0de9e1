/// Why a case cannot run, or a file cannot be used.
///
/// Every description is one line.
public enum ConformanceError: Error, Sendable, CustomStringConvertible {
  /// A name that is not in the table of operations: the case is skipped.
  case unknownOperation(String)
  /// An attribute that the operation does not have: the case is skipped.
  case unknownAttribute(operation: String, String)
  /// A documented variant that is not computed here: the case is skipped.
  case unsupported(String)
  /// Inputs or attributes that make no sense: the case fails.
  case invalidCall(String)
  /// A vector file that cannot be read as one: the case fails.
  case brokenVector(String)
  /// A `--filter` that is no regular expression.
  case badFilter(String, detail: String)
  /// A `--filter` that no case matches.
  case nothingMatches(String)
  /// A `--vectors` folder that cannot be listed, or holds no vectors.
  case badFolder(String, detail: String)

  public var description: String {
    switch self {
    case .unknownOperation(let name): "unknown operation `\(name)`"
    case .unknownAttribute(let operation, let name): "unknown attribute `\(name)` of \(operation)"
    case .unsupported(let detail), .invalidCall(let detail), .brokenVector(let detail): detail
    case .badFilter(let filter, let detail): "--filter \(filter): \(detail)"
    case .nothingMatches(let filter): "--filter \(filter): no case has such a name"
    case .badFolder(let path, let detail): "--vectors \(path): \(detail)"
    }
  }

  /// Whether a case that ends with this error was skipped rather than failed.
  var isSkip: Bool {
    switch self {
    case .unknownOperation, .unknownAttribute, .unsupported: true
    default: false
    }
  }
}
