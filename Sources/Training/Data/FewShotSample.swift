import Compute
import PromptTuning

/// A few examples of each label, drawn with a seed.
public enum FewShotSample {
  /// Separates this use of the seed from others.
  private static let stream: UInt64 = 0x6665_7773_686F_7400

  /// So many examples of each label, in the order of the file.
  ///
  /// - Parameter labels: all that there are.
  /// - Throws: `TrainingError.tooFew` naming the label and what there is.
  public static func choose(
    _ perLabel: Int, of examples: [Example], labels: [String], seed: UInt64, file: String
  ) throws -> [Example] {
    var places: [String: [Int]] = [:]
    for (place, example) in examples.enumerated() {
      guard let label = example.label else {
        throw TrainingError.badLine(
          path: example.source.file, line: example.source.line,
          reason: "field 'label' is missing, and --examples-per-label counts by it")
      }
      places[label.text, default: []].append(place)
    }
    var chosen: [Int] = []
    for (number, label) in labels.enumerated() {
      let members = places[label] ?? []
      guard members.count >= perLabel else {
        throw TrainingError.tooFew(
          path: file, label: label, wanted: perLabel,
          counts: labels.map { "\($0) \(places[$0]?.count ?? 0)" }.joined(separator: ", "))
      }
      var generator = Philox(seed: seed, stream: stream ^ UInt64(number))
      chosen += generator.permutation(of: members.count).prefix(perLabel).map { members[$0] }
    }
    return chosen.sorted().map { examples[$0] }
  }
}
