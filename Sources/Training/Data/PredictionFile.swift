import PromptTuning
import Tokenizers

/// Predictions as JSON Lines: rows with a key `prediction`.
public enum PredictionFile {
  /// A prediction and where it stands.
  public struct Row: Sendable, Hashable {
    /// A string as it is, a number or a boolean as JSON writes it.
    public var prediction: String
    public var source: ExampleSource
  }

  /// Reads a `.jsonl` or `.jsonl.gz` file; other keys are allowed.
  ///
  /// - Throws: `TrainingError` naming file and line.
  public static func read(_ path: String) throws -> [Row] {
    try ExampleFile.rows(path, .fields).map { example in
      guard let prediction = example.fields.texts["prediction"] else {
        let kind = example.fields.others["prediction"]
        throw TrainingError.badLine(
          path: path, line: example.source.line,
          reason: "field 'prediction' is \(kind.map { "\($0), not text or a number" } ?? "missing")")
      }
      return Row(prediction: prediction, source: example.source)
    }
  }
}
