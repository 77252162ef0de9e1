import Foundation

/// A file of JSON objects, one a line.
///
/// Blank lines at the end are no lines; a blank line before another is an error.
final class JSONLines {
  private let reader: LineReader
  private var firstBlankLine: Int?

  /// - Throws: `TrainingError.unreadable`.
  init(path: String) throws { reader = try LineReader(path: path) }

  /// The number of the last line, from 1.
  var lineNumber: Int { reader.lineNumber }

  /// The next object, or nil after the last.
  ///
  /// - Throws: `TrainingError.badLine` for invalid UTF-8 or JSON that is not an object; `TrainingError.unreadable`.
  func next() throws -> [String: Any]? {
    while let text = try reader.next() {
      if text.utf8.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }) {
        if firstBlankLine == nil { firstBlankLine = reader.lineNumber }
        continue
      }
      if let blank = firstBlankLine {
        throw TrainingError.badLine(path: reader.path, line: blank, reason: "the line is blank")
      }
      return try object(text)
    }
    return nil
  }

  private func object(_ text: String) throws -> [String: Any] {
    // A parser that guesses encodings could take a line with zero bytes for UTF-16; JSON has none.
    guard !text.utf8.contains(0) else { throw error("not valid JSON: a zero byte") }
    let value: Any
    do {
      value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
    } catch {
      throw self.error("not valid JSON")
    }
    guard let object = value as? [String: Any] else { throw error("not a JSON object") }
    return object
  }

  /// A string field.
  ///
  /// - Throws: `TrainingError.badLine` if it is missing or of another type.
  func string(_ key: String, of object: [String: Any]) throws -> String {
    guard let value = object[key] else { throw error("field '\(key)' is missing") }
    guard let string = value as? String else { throw error("field '\(key)' is not a string") }
    return string
  }

  /// An error at the line that was read last.
  func error(_ reason: String) -> TrainingError { reader.error(reason) }
}
