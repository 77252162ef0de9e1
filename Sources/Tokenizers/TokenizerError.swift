/// What can be wrong with a tokenizer's files.
///
/// Every description is one line that names the file and the place.
public enum TokenizerError: Error, Sendable, CustomStringConvertible {
  /// A directory without tokenizer files.
  case missing(directory: String, detail: String)
  /// A file that cannot be read.
  case unreadable(file: String, detail: String)
  /// Text that is not JSON (or a list of merges). Lines and columns count from 1, columns in bytes.
  case syntax(file: String, line: Int, column: Int, detail: String)
  /// A value that makes no sense. `place` is a path of keys, or a line.
  case invalid(file: String, place: String, detail: String)
  /// A value that the file may well hold, and that is not implemented.
  case unsupported(file: String, place: String, detail: String)

  public var description: String {
    switch self {
    case .missing(let directory, let detail):
      "\(directory): \(detail)"
    case .unreadable(let file, let detail):
      "\(file): \(detail)"
    case .syntax(let file, let line, let column, let detail):
      "\(file):\(line):\(column): \(detail)"
    case .invalid(let file, let place, let detail):
      "\(file): \(place): \(detail)"
    case .unsupported(let file, let place, let detail):
      "\(file): \(place): \(detail) is not supported"
    }
  }
}
