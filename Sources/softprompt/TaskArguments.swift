import ArgumentParser
import PromptTuning
import Training

/// The options that say what a row of the data is and how it is put into words.
struct TaskArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A known task: its template, labels, label words and what may be cut; `softprompt presets` lists them.",
      valueName: "name"))
  var preset: String?

  @Option(
    help: ArgumentHelp(
      "A text with {field} placeholders of the data's keys, {field!} for one that is never cut, and {mask}.",
      valueName: "text"))
  var template: String?

  @Option(
    help: ArgumentHelp(
      "A pool of templates, one a line; training draws one for each example and pass.", valueName: "file"))
  var templateFile: String?

  @Option(help: "Take so many templates of the pool, unlike each other (default: all).")
  var templateCount: Int?

  @Option(
    help: """
      How much the Hamming distance counts in choosing unlike templates, 0 to 1; the Levenshtein distance has the rest \
      (default: 0.5).
      """)
  var templateHammingWeight: Double?

  @Option(
    help: ArgumentHelp(
      "The template of a pool that is used after training: its number from 1, or average (default: 1).",
      valueName: "template"))
  var inferenceTemplate: String?

  @Option(
    help: ArgumentHelp("The labels in the order of their numbers (default: the data's, sorted).", valueName: "list"))
  var labels: String?

  @Option(help: ArgumentHelp("A word for each label, in the same order.", valueName: "list"))
  var labelWords: String?

  /// What these options and a configuration have in common.
  ///
  /// - Throws: `TrainingError.configuration` for a value that a configuration would not take.
  func options() throws -> TaskOptions {
    var layer = ConfigurationLayer.commandLine
    layer.set(self)
    var configuration = RunConfiguration()
    try configuration.apply(layer)
    return configuration.taskOptions
  }
}

extension ConfigurationLayer {
  mutating func set(_ options: TaskArguments) {
    set("preset", options.preset)
    set("template", options.template)
    set("template-file", options.templateFile)
    set("template-count", options.templateCount)
    set("template-hamming-weight", options.templateHammingWeight)
    set("inference-template", options.inferenceTemplate)
    set("labels", options.labels)
    set("label-words", options.labelWords)
  }
}
