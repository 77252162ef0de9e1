import ArgumentParser
import Compute
import Foundation
import LanguageModels
import PromptTuning
import Training

/// The options of every command that uses a model with or without an adapter.
struct TunedModelArguments: ParsableArguments {
  @OptionGroup var modelArguments: ModelArguments

  @Option(
    help: ArgumentHelp(
      "An adapter's folder: a run's --output, or one written by PEFT (default: the model as it is).",
      valueName: "directory"))
  var adapter: String?

  @Option(
    help: ArgumentHelp(
      "A known method without a prompt of its own: icl is --demonstrations fixed --shots 1 (default: the adapter's).",
      valueName: "name"))
  var method: String?

  @OptionGroup var template: TemplateArguments

  /// How rows become examples: as the adapter remembers, with the options over it; nil for plain inputs and targets.
  ///
  /// - Throws: `MethodError` or `TrainingError` naming the file or the option.
  func taskFormat() throws -> TaskFormat? {
    let known = try adapter.flatMap { try AdapterSettings.read(URL(fileURLWithPath: $0, isDirectory: true)) }
    return try template.task.options().format(over: known?.task)
  }
}

/// A model with its prompt and its way of putting examples into tokens.
struct TunedModel {
  let promptedModel: PromptedModel
  let encoder: ExampleEncoder
  /// How rows become examples; nil for plain rows of inputs and targets.
  let task: TaskFormat?

  /// Opens what the options name; an adapter's own method and demonstrations apply unless options say otherwise.
  ///
  /// - Throws: an error that names the file, the option or the tensor.
  init(_ arguments: TunedModelArguments, on backend: any ComputeBackend) throws {
    let adapter = try arguments.adapter.map { try Adapter(directory: URL(fileURLWithPath: $0, isDirectory: true)) }
    let method = try arguments.template.applied(to: try Self.method(arguments.method, adapter))
    let task = try arguments.taskFormat()
    let template = try Self.template(method, arguments.template, adapter?.settings, task)
    self.task = task
    let opened = try OpenedModel(
      arguments.modelArguments.model, arguments.modelArguments.precision.options(), on: backend)
    let prompt: any Prompt
    if let adapter {
      try adapter.check(fits: opened.model.facts)
      guard adapter.modules.isEmpty else {
        throw MethodError.refused(
          "\(adapter.path): an adapter with a part of the model ('\(adapter.modules[0].name)') does not write text")
      }
      prompt = try adapter.makePrompt(for: opened.model, codec: opened.codec)
    } else {
      prompt = NoPrompt()
    }
    promptedModel = PromptedModel(model: opened.model, prompt: prompt)
    encoder = try ExampleEncoder(
      codec: opened.codec, template: template, texts: task?.pool(task?.inferenceTemplate.choice ?? .sampled),
      truncation: Self.truncation(arguments.template, adapter?.settings, task),
      maximumPositions: opened.model.facts.maximumPositions, promptLength: prompt.length)
  }

  /// What may be cut: what the options say, else the preset of the options, else the adapter.
  private static func truncation(
    _ arguments: TemplateArguments, _ settings: AdapterSettings?, _ task: TaskFormat?
  ) throws -> Truncation {
    if let truncate = arguments.truncate { return truncate }
    var truncation =
      try arguments.task.preset.map { try Preset.named($0).truncationOptions } ?? settings?.truncationOptions ?? []
    // A template of one's own may have nothing that may be cut.
    if try task?.pool()?.templates.contains(where: \.mayBeCut) != true {
      truncation.subtract([.longestFields, .lastFields])
    }
    return truncation
  }

  /// The method that an adapter remembers; a plain template where there is none.
  private static func method(_ name: String?, _ adapter: Adapter?) throws -> Method {
    if let name {
      let method = try Method.named(name)
      guard adapter == nil || method.name == adapter?.settings?.method.name else {
        throw MethodError.refused("--method \(name): the adapter was made with another method, which it remembers")
      }
      guard adapter != nil || method.prompt == .none else {
        throw MethodError.refused("--method \(name) needs --adapter, the folder of a tuned prompt")
      }
      if adapter == nil { return method }
    }
    if let method = adapter?.settings?.method { return method }
    var method = try Method.named(adapter == nil ? "icl" : "prompt-tuning")
    method.demonstrations = .none
    method.shots = 0
    if let adapter { method.promptLength = max(1, adapter.prompt.length) }
    return method
  }

  private static func template(
    _ method: Method, _ arguments: TemplateArguments, _ settings: AdapterSettings?, _ task: TaskFormat?
  ) throws -> any Template {
    guard method.demonstrations != .none else {
      guard arguments.demonstrationData == nil else {
        throw MethodError.refused("--demonstration-data makes no sense without --demonstrations")
      }
      return PlainTemplate()
    }
    let remembered = settings?.demonstrations
    let pool: [Example]
    var task = task
    if let file = arguments.demonstrationData {
      pool = try ExampleFile.read(file, for: &task)
    } else if let examples = remembered?.examples, method.demonstrations == .fixed,
      method.shots <= settings?.method.shots ?? 0
    {
      pool = examples
    } else if let file = remembered?.file {
      pool = try ExampleFile.read(file, for: &task)
    } else {
      throw MethodError.refused(
        "--demonstrations \(method.demonstrations.rawValue) needs --demonstration-data, the file they come from")
    }
    return try DemonstrationTemplate(
      selection: method.demonstrations, shots: method.shots, pool: pool, seed: remembered?.seed ?? 0)
  }
}
