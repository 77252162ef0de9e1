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
