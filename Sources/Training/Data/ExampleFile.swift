import Foundation
import PromptTuning

/// Examples of generation tasks as JSON Lines: `{"input": "...", "target": "..."}` or `"targets": ["...", ...]`.
public enum ExampleFile {
  /// Reads a `.jsonl` or `.jsonl.gz` file.
  ///
  /// Other keys are allowed; with both, `targets` counts.
  ///
  /// - Throws: `TrainingError` naming file and line.
  public static func read(_ path: String) throws -> [Example] {
    let lines = try JSONLines(path: path)
    var examples: [Example] = []
    while let object = try lines.next() {
      examples.append(
        Example(
          input: try lines.string("input", of: object), targets: try targets(of: object, lines),
          source: ExampleSource(file: path, line: lines.lineNumber)))
    }
    guard !examples.isEmpty else { throw TrainingError.noExamples(path: path) }
    return examples
  }

  /// Reads the rows of a task, whatever their fields are; they are not yet put into words.
  ///
  /// - Throws: `TrainingError` naming file and line.
  public static func rows(_ path: String, _ shape: TaskFormat.RowShape) throws -> [Example] {
    try rows(path).flatMap { try $0.examples(shape) }
  }

  /// The objects of a file, one a line, at least one.
  static func rows(_ path: String) throws -> [ExampleRow] {
    let reader = try LineReader(path: path)
    var rows: [ExampleRow] = []
    var blank: Int?
    while let bytes = try reader.nextBytes() {
      if bytes.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }) {
        blank = blank ?? reader.lineNumber
        continue
      }
      if let blank { throw TrainingError.badLine(path: path, line: blank, reason: "the line is blank") }
      rows.append(try ExampleRow(bytes, source: ExampleSource(file: path, line: reader.lineNumber)))
    }
    guard !rows.isEmpty else { throw TrainingError.noExamples(path: path) }
    return rows
  }

  /// Reads a file for a task and puts its rows into words; a plain file of inputs and targets without one.
  ///
  /// - Parameter task: its labels are settled from this file where they are open.
  /// - Throws: `TrainingError` or `MethodError` naming file, line and key.
  public static func read(_ path: String, for task: inout TaskFormat?) throws -> [Example] {
    guard var format = task else { return try read(path) }
    let rows = try rows(path, format.rows)
    try format.settleLabels(from: rows)
    task = format
    return try format.inWords(rows)
  }

  static func targets(of object: [String: Any], _ lines: JSONLines) throws -> [String] {
    guard let value = object["targets"] else {
      guard object["target"] != nil else { throw lines.error("field 'target' (or 'targets') is missing") }
      return [try lines.string("target", of: object)]
    }
    guard let items = value as? [Any] else { throw lines.error("field 'targets' is not a list of strings") }
    guard !items.isEmpty else { throw lines.error("field 'targets' is empty") }
    return try items.map {
      guard let target = $0 as? String else { throw lines.error("field 'targets' is not a list of strings") }
      return target
    }
  }
}
