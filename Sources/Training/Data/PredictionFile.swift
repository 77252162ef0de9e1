import PromptTuning
import Tokenizers

/// Predictions as JSON Lines: rows with a key `prediction`.
public enum PredictionFile {
  /// What was predicted for a row.
  public enum Prediction: Sendable, Hashable {
    /// A string as it is, a number or a boolean as JSON writes it.
    case text(String)
    /// A label for each word.
    case list([String])
  }

  /// A prediction and where it stands.
  public struct Row: Sendable, Hashable {
    public var prediction: Prediction
    public var source: ExampleSource

    /// The text of the prediction.
    ///
    /// - Throws: `TrainingError.badLine` for a list.
    public func text() throws -> String {
      guard case .text(let text) = prediction else { throw broken("is a list, in line 1 it is none") }
      return text
    }

    /// The labels of the prediction.
    ///
    /// - Throws: `TrainingError.badLine` where it is no list.
    public func list() throws -> [String] {
      guard case .list(let items) = prediction else { throw broken("is no list, in line 1 it is one") }
      return items
    }

    private func broken(_ reason: String) -> TrainingError {
      .badLine(path: source.file, line: source.line, reason: "field 'prediction' \(reason)")
    }
  }

  /// Reads a `.jsonl` or `.jsonl.gz` file; other keys are allowed.
  ///
  /// - Throws: `TrainingError` naming file and line.
  public static func read(_ path: String) throws -> [Row] {
    try ExampleFile.rows(path).map { row in Row(prediction: try row.prediction(), source: row.source) }
  }
}
