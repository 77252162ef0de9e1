import ArgumentParser
import Evaluation
import Foundation
import PromptTuning

/// `softprompt generate`.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Continue texts with a model, with or without an adapter.",
    discussion: """
      Without --input, each line of standard input is one text, and the answers come in their order. Printed is the
      continuation alone, as it is, and a newline.
      """)

  @OptionGroup var tuned: TunedModelArguments

  @Option(help: ArgumentHelp("The text to continue.", valueName: "text"))
  var input: String?

  @Option(help: "Texts that are computed at a time.")
  var batchSize = 16

  @OptionGroup(title: "Decoding") var decoding: DecodingArguments
  @OptionGroup(title: "Device") var deviceOptions: DeviceOptions

  @Flag(help: "Lines of standard input are JSON strings, and so are the answers, so that texts can hold newlines.")
  var json = false

  /// Lines that are read ahead, in batches, before they are answered.
  private static let batchesReadAhead = 4

  func run() throws {
    let options = EvaluatorOptions(batchSize: batchSize, decoding: try decoding.options(batchSize: batchSize))
    guard tuned.adapter.count < 2 else {
      throw ValidationError("--adapter: prompts vote on whole answers in `evaluate`; a text is continued with one")
    }
    let tuned = try TunedModel(tuned, on: try deviceOptions.open())
    guard type(of: tuned.taskModel.head).answers == .text else {
      throw MethodError.refused("the model's head answers with labels or values, which softprompt evaluate writes")
    }
    let evaluator = try Evaluator(promptedModel: tuned.promptedModel, encoder: tuned.encoder, options: options)
    let decoder = try TextDecoder(
      promptedModel: tuned.promptedModel, codec: tuned.encoder.codec, options: options.decoding)
    if let input { return try answer([input], from: 0, source: "--input", tuned, evaluator, decoder) }
    var lines = StandardInput(isJSON: json)
    var count = 0
    while let first = try lines.next() {
      var texts = [first]
      // What has already arrived is answered together; nobody waits for lines that have not.
      while texts.count < Self.batchesReadAhead * batchSize, lines.hasArrived, let text = try lines.next() {
        texts.append(text)
      }
      try answer(texts, from: count, source: "standard input", tuned, evaluator, decoder)
      count += texts.count
    }
  }

  /// Prints the continuations of texts in their order, each as soon as it and those before it are known.
  private func answer(
    _ texts: [String], from start: Int, source: String, _ tuned: TunedModel, _ evaluator: Evaluator,
    _ decoder: TextDecoder
  ) throws {
    let examples = try texts.enumerated().map { place, text in
      try Example(text, source: ExampleSource(file: source, line: start + place + 1), texts: evaluator.texts)
    }
    try tuned.prepare(examples)
    let contexts = try examples.map { try evaluator.encodeContext($0) }
    for context in contexts where context.cutDemonstrations > 0 || context.cutInputTokens > 0 {
      DeviceSelection.standardErrorNotice(
        "\(context.source): cut to fit: \(context.cutDemonstrations) demonstrations and \(context.cutInputTokens) "
          + "tokens of the input left out")
    }
    var waiting: [Int: Generation] = [:]
    var next = 0
    _ = try decoder.generate(contexts.map(\.context), firstIndex: start) { place, generation in
      waiting[place] = generation
      while let ready = waiting.removeValue(forKey: next) {
        try show(ready, contexts[next].source)
        next += 1
      }
    }
  }

  private func show(_ generation: Generation, _ source: ExampleSource) throws {
    if generation.stop == .lastPosition {
      DeviceSelection.standardErrorNotice("\(source): ends at the model's last position")
    }
    if json { return try Output.json(generation.text) }
    Output.write(Data((generation.text + "\n").utf8))
  }
}

extension Example {
  /// A text that somebody typed: the input, or the only field that the templates have.
  ///
  /// - Throws: `MethodError.refused` for templates with several fields.
  fileprivate init(_ text: String, source: ExampleSource, texts: TemplatePool?) throws {
    let names = Set(texts?.templates.flatMap(\.fields) ?? [])
    guard names.count <= 1 else {
      throw MethodError.refused(
        "a line of text is one field, the template has \(names.sorted().joined(separator: ", ")); "
          + "evaluate --predictions takes rows of fields")
    }
    self.init(
      input: text, targets: [""], source: source,
      fields: ExampleFields(Dictionary(names.map { ($0, text) }, uniquingKeysWith: { first, _ in first })))
  }
}
