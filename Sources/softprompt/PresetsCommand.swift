import ArgumentParser
import PromptTuning

/// `softprompt presets`.
struct PresetsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "presets",
    abstract: "List the known tasks: their templates, labels, label words and metrics.")

  @Flag(help: "Print JSON instead of a list.")
  var json = false

  /// A preset as a row of the JSON form.
  private struct Row: Encodable {
    var name: String
    var summary: String
    var templates: [String]
    var labels: [String]?
    var label_words: [String]?
    var metrics: [String]
    var truncate: [String]
    var normalization: String
    var regression: Bool

    init(_ preset: Preset) {
      name = preset.name
      summary = preset.summary
      templates = preset.format.templates
      labels = preset.format.labels
      label_words = preset.format.labelWords
      metrics = preset.metrics
      truncate = preset.truncation
      normalization = preset.format.normalization.rawValue
      regression = preset.format.labelsAreValues
    }
  }

  private struct List: Encodable {
    var presets: [Row]
  }

  func run() throws {
    if json { return try Output.json(List(presets: Preset.all.map(Row.init))) }
    for preset in Preset.all {
      print("\(preset.name)\n  \(preset.summary)")
      for template in preset.format.templates { print("  template  \(template)") }
      if let labels = preset.format.labels {
        let words = preset.format.labelWords ?? labels
        print("  labels    \(zip(labels, words).map { "\($0) (\($1))" }.joined(separator: ", "))")
      }
      print("  metrics   \(preset.metrics.joined(separator: ", "))")
      print("  truncate  \(preset.truncation.joined(separator: ", "))")
    }
  }
}
