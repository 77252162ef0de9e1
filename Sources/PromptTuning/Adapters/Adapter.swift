import Compute
import Foundation
import LanguageModels

/// A tuned prompt as it lies in a folder: PEFT's two files, and `softprompt.json` for what PEFT cannot hold.
public struct Adapter: Sendable, Hashable {
  /// The vectors of a prompt.
  public struct PromptValues: Sendable, Hashable {
    /// Virtual tokens.
    public var length: Int
    /// Width of the model's token embeddings.
    public var width: Int
    /// `[length, width]`, row-major.
    public var values: [Float]

    public init(length: Int, width: Int, values: [Float]) {
      precondition(values.count == length * width, "a prompt has other values than its shape")
      self.length = length
      self.width = width
      self.values = values
    }
  }

  public static let configurationName = "adapter_config.json"
  public static let tensorsName = "adapter_model.safetensors"
  public static let settingsName = "softprompt.json"

  /// The folder, for messages.
  public var path: String
  public var prompt: PromptValues
  /// Nil for an adapter that PEFT wrote.
  public var settings: AdapterSettings?
  /// Where PEFT says the base model comes from.
  public var baseModel: String?
  /// What PEFT says the model is for; nil where it does not.
  public var task: AdapterTask?
  /// Parts of the model that were trained with the prompt, such as a classifier.
  public var modules: [SavedModule]

  /// What kind of prompt PEFT's files hold.
  public var type: PEFTType
  /// Everything trained of a prompt, where the rows are not all there is.
  public var parameters: PromptParameters?
  /// What each task of PEFT's multitask prompts has; the prompt is that of one of them, or the shared rows where none was
  /// chosen.
  public var taskFactors: TaskFactors?

  public init(
    path: String, prompt: PromptValues, settings: AdapterSettings?, baseModel: String?, task: AdapterTask? = nil,
    modules: [SavedModule] = [], type: PEFTType = .promptTuning, parameters: PromptParameters? = nil
  ) {
    self.path = path
    self.prompt = prompt
    self.settings = settings
    self.baseModel = baseModel
    self.task = task
    self.modules = modules
    self.type = type
    self.parameters = parameters
  }

  /// Reads an adapter folder, written here or by PEFT.
  ///
  /// - Parameters:
  ///   - promptTask: which task's prompt is meant of several that share one, from 0.
  ///   - needsTask: of several one must be chosen; else they are read as they are.
  /// - Throws: `MethodError.badAdapter` or `CheckpointError` with the file and the reason.
  public init(directory: URL, promptTask: Int? = nil, needsTask: Bool = true) throws {
    let url = directory.appendingPathComponent(Self.configurationName)
    let file = try ConfigurationFile(url: url)
    type = try PEFTType(file)
    let length = try file.integer("num_virtual_tokens", atLeast: 0)
    task = try file.optionalString("task_type").map { name in
      guard let task = AdapterTask(rawValue: name) else {
        throw file.error(
          "task_type", "is '\(name)'; known are \(AdapterTask.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return task
    }
    let tensors = try SafetensorsFile(url: directory.appendingPathComponent(Self.tensorsName))
    path = directory.path
    settings = try AdapterSettings.read(directory)
    parameters = try PromptParameters(directory: directory)
    baseModel = try file.optionalString("base_model_name_or_path")
    if type == .own {
      guard settings != nil, parameters != nil else {
        throw MethodError.badAdapter(
          path: directory.path, reason: "'\(Self.settingsName)' and '\(PromptParameters.fileName)' belong to it")
      }
      prompt = PromptValues(length: length, width: 0, values: [])
    } else {
      let expected = try Self.shape(type, length: length, task: task, file, tensors)
      guard let entry = tensors.entries[StaticPrompt.tensorName] else {
        throw CheckpointError.missingTensor(path: tensors.url.path, name: StaticPrompt.tensorName)
      }
      guard entry.shape == expected else {
        throw CheckpointError.wrongShape(
          path: tensors.url.path, name: StaticPrompt.tensorName, found: entry.shape, expected: expected)
      }
      // With two submodules the first half is the one in front of the text.
      let width = expected.columns
      var values = Array(try tensors.floats(of: entry).prefix(length * width))
      if let bad = values.firstIndex(where: { !$0.isFinite }) {
        throw MethodError.badAdapter(
          path: tensors.url.path, reason: "tensor '\(StaticPrompt.tensorName)' is not finite at element \(bad)")
      }
      if case .multitask(let tasks, let rank) = type {
        let factors = try TaskFactors(tensors, tasks: tasks, rank: rank, length: expected[0], width: width)
        taskFactors = factors
        if needsTask || promptTask != nil || tasks == 1 {
          values = factors.values(task: try Self.chosen(promptTask, of: tasks, directory), length: length)
        }
      } else if promptTask != nil {
        throw MethodError.refused("--prompt-task: '\(directory.path)' holds the prompt of one task only")
      }
      prompt = PromptValues(length: length, width: width, values: values)
    }
    modules = try SavedModule.read(tensors) + SavedModule.readOwn(directory)
  }

  /// The shape that the rows must have.
  private static func shape(
    _ type: PEFTType, length: Int, task: AdapterTask?, _ file: ConfigurationFile, _ tensors: SafetensorsFile
  ) throws -> Shape {
    let stored = tensors.entries[StaticPrompt.tensorName]?.shape.columns ?? 0
    let width = try file.optionalInteger("token_dim", atLeast: 1)
    let submodules = try file.optionalInteger("num_transformer_submodules", atLeast: 1)
    guard case .prefixTuning = type else { return [length * (submodules ?? 1), width ?? stored] }
    if task == .sequenceToSequence, submodules == 1 {
      throw file.error(
        "num_transformer_submodules", "is 1; PEFT has prefixes of encoder-decoder models with 2 submodules only")
    }
    guard let width, let layers = try file.optionalInteger("num_layers", atLeast: 1) else { return [length, stored] }
    return [length, 2 * layers * width]
  }

  private static func chosen(_ task: Int?, of tasks: Int, _ directory: URL) throws -> Int {
    guard let task = task ?? (tasks == 1 ? 0 : nil) else {
      throw MethodError.refused(
        "'\(directory.path)' holds prompts of \(tasks) tasks: --prompt-task says which, from 0")
    }
    guard (0..<tasks).contains(task) else {
      throw MethodError.refused("--prompt-task \(task): '\(directory.path)' holds prompts of \(tasks) tasks, from 0")
    }
    return task
  }

  /// Whether its rows are keys and values instead of embeddings.
  public var isPrefix: Bool {
    if case .prefixTuning = type { true } else { false }
  }

  /// The rows that are like embeddings of tokens, for whoever looks at them: those of all prompts of a pool.
  ///
  /// Without elements for prefixes, which hold keys and values.
  public var tokenRows: PromptValues {
    guard !isPrefix, type != .own || settings?.method.prompt.kind.hasVectors == true else {
      return PromptValues(length: 0, width: prompt.width, values: [])
    }
    guard type == .own, let tensors = parameters?.tensors else { return prompt }
    if let rows = tensors[StaticPrompt.tensorName] {
      return PromptValues(length: rows.shape[0], width: rows.shape.columns, values: rows.values)
    }
    guard let pool = tensors["pool"], prompt.length > 0 else { return prompt }
    return PromptValues(
      length: pool.shape[0] * prompt.length, width: pool.shape.columns / prompt.length, values: pool.values)
  }

  /// The shared rows of a multitask prompt that stand in front of the text.
  ///
  /// - Throws: `MethodError.badAdapter` with both shapes for another length or width.
  func sharedValues(_ factors: TaskFactors, length: Int, width: Int) throws -> [Float] {
    guard prompt.length == length, factors.width == width else {
      throw MethodError.badAdapter(
        path: path,
        reason: "its shared rows have shape [\(prompt.length), \(factors.width)], the model and the method ask for "
          + "[\(length), \(width)]")
    }
    return Array(factors.shared.prefix(length * width))
  }

  /// The rows of a prefix.
  ///
  /// - Throws: `MethodError.badAdapter` if it holds no prefix, or one of another length or width.
  func prefixValues(length: Int, _ layout: PrefixLayout) throws -> [Float] {
    guard isPrefix else {
      throw MethodError.badAdapter(path: path, reason: "it holds \(type.name), not keys and values of layers")
    }
    guard prompt.length == length, prompt.width == layout.width else {
      throw MethodError.badAdapter(
        path: path,
        reason: "its prefix has shape [\(prompt.length), \(prompt.width)], the model and the method ask for "
          + "[\(length), \(layout.width)]")
    }
    return prompt.values
  }

  /// - Throws: `MethodError.badAdapter` with both shapes if the prompt is not as wide as the model's embeddings, or if it
  ///   was made for a model of another kind.
  public func check(fits facts: ModelFacts) throws {
    if let task, let kind = task.kind, kind != facts.kind {
      throw MethodError.badAdapter(
        path: URL(fileURLWithPath: path).appendingPathComponent(Self.configurationName).path,
        reason: "key 'task_type' is '\(task.rawValue)', which '\(facts.modelType)' is not made for")
    }
    guard prompt.width == facts.embeddingWidth || type == .own || isPrefix else {
      throw MethodError.badAdapter(
        path: URL(fileURLWithPath: path).appendingPathComponent(Self.tensorsName).path,
        reason:
          "tensor '\(StaticPrompt.tensorName)' has shape [\(prompt.length), \(prompt.width)], the model's embedding width asks for [\(prompt.length), \(facts.embeddingWidth)]"
      )
    }
    if let maximum = facts.maximumPositions, prompt.length + 2 > maximum {
      throw MethodError.refused(
        "a prompt of \(prompt.length) tokens does not fit the model's \(maximum) positions")
    }
  }

  /// The prompt for a model, as it was trained; nothing of it is trained further.
  ///
  /// - Throws: `MethodError.badAdapter` with both shapes where they do not fit.
  public func makePrompt(for model: any LanguageModel, codec: TextCodec) throws -> any Prompt {
    let backend = model.backend
    try check(fits: model.facts)
    switch type {
    case .own:
      guard let method = settings?.method, let parameters else { preconditionFailure("read with its settings") }
      let made = try PromptRequest(
        model: model, codec: codec, length: method.promptLength, options: method.promptOptions, start: .zeros,
        isTrainable: false, seed: settings?.promptSeed ?? 0
      ).prompt(method.prompt)
      try parameters.restore(made, path: path, on: backend)
      return made
    case .prefixTuning:
      let layout = try PrefixLayout(model)
      guard layout.isKnownToPEFT else {
        throw MethodError.badAdapter(
          path: path, reason: "PEFT's layout of prefixes is not defined for this '\(model.facts.modelType)'")
      }
      return try PrefixPrompt(
        values: try prefixValues(length: prompt.length, layout), length: prompt.length, layout: layout,
        isTrainable: false, on: backend)
    case .promptTuning, .pTuning, .multitask:
      return try StaticPrompt(
        values: prompt.values, length: prompt.length, width: prompt.width, isTrainable: false, on: backend)
    }
  }

  /// Writes the files into an existing folder, each whole or not at all.
  ///
  /// - Throws: `CheckpointError.unwritable`.
  public func write(to directory: URL, facts: ModelFacts) throws {
    let rows =
      taskFactors?.items
      ?? (type == .own
        ? []
        : [.init(name: StaticPrompt.tensorName, shape: [prompt.length, prompt.width], floats: prompt.values)])
    try SafetensorsWriter.write(
      rows + modules.filter { !$0.isOwn }.map(\.item), to: directory.appendingPathComponent(Self.tensorsName))
    try SavedModule.writeOwn(modules, to: directory)
    try parameters?.write(to: directory)
    if let settings { try settings.write(directory) }
    let names = SavedModule.names(of: modules)
    let configuration = PEFTConfiguration(
      type: type, base_model_name_or_path: baseModel, modules_to_save: names.isEmpty ? nil : names,
      num_attention_heads: isPrefix ? facts.keyValueHeads : facts.heads, num_layers: facts.layers,
      num_transformer_submodules: submodules(facts), num_virtual_tokens: prompt.length,
      task_type: task ?? AdapterTask(facts.kind), token_dim: isPrefix ? facts.keyWidth : facts.embeddingWidth)
    // The configuration comes last: a folder that has it is whole.
    try AtomicFile.write(
      try configuration.json(), to: directory.appendingPathComponent(Self.configurationName))
  }

  private func submodules(_ facts: ModelFacts) -> Int {
    if let taskFactors { return taskFactors.length / max(1, prompt.length) }
    return isPrefix && facts.kind == .encoderDecoder ? 2 : 1
  }
}
