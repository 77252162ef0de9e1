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
      discussion: "Given several times in `evaluate`, the prompts vote on every example.", valueName: "directory"))
  var adapter: [String] = []

  @Option(help: ArgumentHelp("Which task's prompt of PEFT's multitask prompts, from 0.", valueName: "number"))
  var promptTask: Int?

  @Option(
    help: ArgumentHelp(
      "A known method without a prompt of its own: icl is --demonstrations fixed --shots 1 (default: the adapter's).",
      valueName: "name"))
  var method: String?

  @OptionGroup var template: TemplateArguments
  @OptionGroup var head: HeadArguments

  /// What the adapter remembers, or the model's own directory where fine-tuning wrote it.
  func settings() throws -> AdapterSettings? {
    try AdapterSettings.read(URL(fileURLWithPath: adapter.first ?? modelArguments.model, isDirectory: true))
  }

  /// How rows become examples: as the adapter remembers, with the options over it; nil for plain inputs and targets.
  ///
  /// - Throws: `MethodError` or `TrainingError` naming the file or the option.
  func taskFormat() throws -> TaskFormat? {
    let settings = try settings()
    let chosen = head.head ?? settings?.head?.kind
    var format = try template.task.options().format(
      over: settings?.task, readsRows: chosen.map { $0.kind.answers != .text } ?? false)
    if chosen?.kind.answers == .value { format?.labelsAreValues = true }
    if chosen?.kind.answers == .labels { try format?.readWords() }
    return format
  }
}

/// A model with its prompt and its way of putting examples into tokens.
struct TunedModel {
  let taskModel: TaskModel
  let encoder: ExampleEncoder
  private let demonstrations: Demonstrations?
  /// How rows become examples; nil for plain rows of inputs and targets.
  let task: TaskFormat?
  /// How many prompts vote on each example.
  let memberCount: Int
  var promptedModel: PromptedModel { taskModel.prompted }

  /// Opens what the options name; an adapter's own method and demonstrations apply unless options say otherwise.
  ///
  /// - Throws: an error that names the file, the option or the tensor.
  init(_ arguments: TunedModelArguments, on backend: any ComputeBackend) throws {
    let adapters = try arguments.adapter.map {
      try Adapter(directory: URL(fileURLWithPath: $0, isDirectory: true), promptTask: arguments.promptTask)
    }
    if arguments.promptTask != nil, adapters.isEmpty {
      throw MethodError.refused("--prompt-task makes no sense without --adapter")
    }
    let adapter = adapters.first
    try Self.checkVote(adapters)
    memberCount = max(1, adapters.count)
    let settings = try arguments.settings()
    let method = try arguments.template.applied(to: try Self.method(arguments.method, adapter))
    var task = try arguments.taskFormat()
    demonstrations = try Self.demonstrations(method, arguments.template, settings, task, on: backend)
    let opened = try OpenedModel(
      arguments.modelArguments.model, arguments.modelArguments.precision.options(), on: backend)
    let prompt: any Prompt
    if !adapters.isEmpty {
      let prompts = try adapters.map { try $0.makePrompt(for: opened.model, codec: opened.codec) }
      prompt = prompts.count > 1 ? try EnsemblePrompt(prompts) : prompts[0]
    } else {
      prompt = NoPrompt()
    }
    let tensors = try adapter?.modules ?? SavedModule.readOwn(opened.directory.url)
    let head = try Self.head(arguments, settings, tensors, adapter?.task, opened, &task)
    taskModel = TaskModel(PromptedModel(model: opened.model, prompt: prompt), head: head)
    try SavedModule.install(
      tensors, into: taskModel.parameters, path: adapter?.path ?? opened.directory.url.path, on: backend)
    self.task = task
    var encoder = try ExampleEncoder(
      codec: opened.codec, template: demonstrations?.template ?? PlainTemplate(),
      texts: task?.pool(task?.inferenceTemplate.choice ?? .sampled),
      truncation: Self.truncation(arguments.template, settings, task),
      maximumPositions: opened.model.facts.maximumPositions, promptLength: prompt.length,
      maximumLength: arguments.template.maxLength ?? settings?.maximumLength)
    encoder.answers = try AnswerSource(type(of: head).answers, task)
    try encoder.check(has: head.wanted)
    self.encoder = encoder
  }

  /// Prompts that vote read the same tokens and answer with the same head.
  private static func checkVote(_ adapters: [Adapter]) throws {
    guard let first = adapters.first, adapters.count > 1 else { return }
    for adapter in adapters {
      guard adapter.modules.isEmpty else {
        throw MethodError.refused(
          "\(adapter.path): it has a head of its own ('\(adapter.modules[0].name)'), and prompts that vote share one")
      }
      let isSame =
        adapter.settings?.task == first.settings?.task && adapter.settings?.head == first.settings?.head
        && adapter.settings?.truncation == first.settings?.truncation
        && adapter.settings?.maximumLength == first.settings?.maximumLength
        && adapter.settings?.method.demonstrations == first.settings?.method.demonstrations
        && adapter.settings?.method.shots == first.settings?.method.shots
      guard isSame else {
        throw MethodError.refused("\(adapter.path): its template or head is not that of \(first.path)")
      }
    }
  }

  /// The head: what the options say, else what was trained, else the classifier of an encoder's checkpoint.
  private static func head(
    _ arguments: TunedModelArguments, _ settings: AdapterSettings?, _ tensors: [SavedModule],
    _ adapterTask: AdapterTask?, _ opened: OpenedModel, _ task: inout TaskFormat?
  ) throws -> any TaskHead {
    let model = opened.model
    let stored = model.storedClassifier
    var record =
      settings?.head
      ?? HeadRecord(
        tensors, model.facts, task: adapterTask, labels: task?.labels ?? stored?.labels ?? [])
    if record == nil, let stored, model.facts.kind == .encoder || arguments.head.head?.kind.isTrained == true {
      record = HeadRecord(stored)
    }
    if let chosen = arguments.head.head, chosen != record?.kind {
      guard !chosen.kind.isTrained else {
        throw MethodError.refused("--head \(chosen.rawValue) was not trained: the model and the adapter hold none")
      }
      let labels = task?.labels ?? task?.labelWords ?? []
      if chosen.kind.answers.areLabels { task?.labels = labels }
      return try chosen.kind.init(
        HeadRequest(
          model: model, codec: opened.codec, token: arguments.head.headToken, labels: labels,
          labelWords: chosen.kind.answers.areLabels ? task?.labelWords : nil, trainable: .none))
    }
    guard let record, record.kind != .languageModel else {
      try opened.requireText()
      return LanguageModelHead(model: model)
    }
    guard arguments.head.headToken == nil || arguments.head.headToken == record.token else {
      throw MethodError.refused("--head-token: the head was trained on another one")
    }
    if record.kind.kind.answers.areLabels, let labels = task?.labels, labels.count != record.labels.count {
      throw MethodError.refused(
        "\(labels.count) labels (\(labels.joined(separator: ", "))), the head was trained on \(record.labels.count)")
    }
    if record.kind.kind.answers == .value { task = task ?? TaskFormat(labelsAreValues: true) }
    if record.kind.kind.answers.areLabels {
      var format = task ?? TaskFormat()
      format.labels = format.labels ?? record.labels
      if record.kind.kind.answers == .labels { try format.readWords() }
      task = format
    }
    return try record.head(of: model, opened.codec).head
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
    // The head is found by itself; the method only says what stands in front of an example.
    var method = try Method.named(adapter == nil ? "icl" : "prompt-tuning")
    method.demonstrations = .none
    method.shots = 0
    if let adapter { method.promptLength = max(1, adapter.prompt.length) }
    return method
  }

  /// Looks up what examples are to be shown; must come before they are encoded.
  ///
  /// - Throws: what computing a retriever's vectors throws.
  func prepare(_ examples: [Example]) throws { try demonstrations?.prepare(examples) }

  private static func demonstrations(
    _ method: Method, _ arguments: TemplateArguments, _ settings: AdapterSettings?, _ task: TaskFormat?,
    on backend: any ComputeBackend
  ) throws -> Demonstrations? {
    try Demonstrations.check(
      method, shots: arguments.shots, data: arguments.demonstrationData, retriever: arguments.retriever)
    guard method.demonstrations != .none else { return nil }
    let remembered = settings?.demonstrations
    let (pool, files) = try pool(method, arguments, settings, task)
    let made = try Demonstrations(
      method, pool: pool, files: files, seed: remembered?.seed ?? 0,
      retriever: arguments.retriever ?? remembered?.retriever, on: { backend })
    if method.demonstrations == .retrieved, arguments.retriever == nil, let digest = remembered?.retrieverDigest,
      made.settings.retrieverDigest != digest
    {
      throw MethodError.changedPool(
        path: made.settings.retriever ?? "",
        reason: "the retriever's model has changed since the adapter was made; --retriever names another")
    }
    return made
  }

  /// The pool of demonstrations and its files: what the options say, else what the adapter remembers.
  private static func pool(
    _ method: Method, _ arguments: TemplateArguments, _ settings: AdapterSettings?, _ task: TaskFormat?
  ) throws -> ([Example], [String]) {
    var task = task
    if let file = arguments.demonstrationData { return (try ExampleFile.read(file, for: &task), [file]) }
    guard let remembered = settings?.demonstrations else {
      throw MethodError.refused(
        "--demonstrations \(method.demonstrations.rawValue) needs --demonstration-data, the file they come from")
    }
    let isEnough = method.demonstrations == .fixed && method.shots <= settings?.method.shots ?? 0
    if let examples = remembered.examples, isEnough || remembered.keepsWholePool {
      return (examples, remembered.files)
    }
    let pool = try remembered.files.flatMap { try ExampleFile.read($0, for: &task) }
    try remembered.check(pool)
    return (pool, remembered.files)
  }
}
