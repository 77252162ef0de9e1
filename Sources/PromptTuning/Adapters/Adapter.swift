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

  public init(
    path: String, prompt: PromptValues, settings: AdapterSettings?, baseModel: String?, task: AdapterTask? = nil,
    modules: [SavedModule] = []
  ) {
    self.path = path
    self.prompt = prompt
    self.settings = settings
    self.baseModel = baseModel
    self.task = task
    self.modules = modules
  }

  /// Reads an adapter folder, written here or by PEFT.
  ///
  /// - Throws: `MethodError.badAdapter` or `CheckpointError` with the file and the reason.
  public init(directory: URL) throws {
    let url = directory.appendingPathComponent(Self.configurationName)
    let file = try ConfigurationFile(url: url)
    guard let type = try file.optionalString("peft_type") else { throw file.error("peft_type", "is missing") }
    guard type == "PROMPT_TUNING" || type == "P_TUNING" else {
      throw file.error("peft_type", "is '\(type)'; PROMPT_TUNING and P_TUNING are supported")
    }
    let length = try file.integer("num_virtual_tokens", atLeast: 0)
    task = try file.optionalString("task_type").map { name in
      guard let task = AdapterTask(rawValue: name) else {
        throw file.error(
          "task_type", "is '\(name)'; known are \(AdapterTask.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      return task
    }
    let tensors = try SafetensorsFile(url: directory.appendingPathComponent(Self.tensorsName))
    guard let entry = tensors.entries[StaticPrompt.tensorName] else {
      throw CheckpointError.missingTensor(path: tensors.url.path, name: StaticPrompt.tensorName)
    }
    let submodules = try file.optionalInteger("num_transformer_submodules", atLeast: 1) ?? 1
    let width = try file.optionalInteger("token_dim", atLeast: 1) ?? entry.shape.columns
    let expected: Shape = [length * submodules, width]
    guard entry.shape == expected else {
      throw CheckpointError.wrongShape(
        path: tensors.url.path, name: StaticPrompt.tensorName, found: entry.shape, expected: expected)
    }
    // With two submodules the first half is the one in front of the text.
    let values = Array(try tensors.floats(of: entry).prefix(length * width))
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw MethodError.badAdapter(
        path: tensors.url.path, reason: "tensor '\(StaticPrompt.tensorName)' is not finite at element \(bad)")
    }
    modules = try SavedModule.read(tensors) + SavedModule.readOwn(directory)
    path = directory.path
    prompt = PromptValues(length: length, width: width, values: values)
    settings = try AdapterSettings.read(directory)
    baseModel = try file.optionalString("base_model_name_or_path")
  }

  /// - Throws: `MethodError.badAdapter` with both shapes if the prompt is not as wide as the model's embeddings, or if it
  ///   was made for a model of another kind.
  public func check(fits facts: ModelFacts) throws {
    if let task, let kind = task.kind, kind != facts.kind {
      throw MethodError.badAdapter(
        path: URL(fileURLWithPath: path).appendingPathComponent(Self.configurationName).path,
        reason: "key 'task_type' is '\(task.rawValue)', which '\(facts.modelType)' is not made for")
    }
    guard prompt.width == facts.embeddingWidth else {
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

  /// Writes the files into an existing folder, each whole or not at all.
  ///
  /// - Throws: `CheckpointError.unwritable`.
  public func write(to directory: URL, facts: ModelFacts) throws {
    let item = SafetensorsWriter.Item(
      name: StaticPrompt.tensorName, shape: [prompt.length, prompt.width], floats: prompt.values)
    try SafetensorsWriter.write(
      [item] + modules.filter { !$0.isOwn }.map(\.item), to: directory.appendingPathComponent(Self.tensorsName))
    try SavedModule.writeOwn(modules, to: directory)
    if let settings { try settings.write(directory) }
    let names = SavedModule.names(of: modules)
    let configuration = PEFTConfiguration(
      base_model_name_or_path: baseModel, modules_to_save: names.isEmpty ? nil : names,
      num_attention_heads: facts.heads, num_layers: facts.layers, num_virtual_tokens: prompt.length,
      task_type: task ?? AdapterTask(facts.kind), token_dim: prompt.width)
    // The configuration comes last: a folder that has it is whole.
    try AtomicFile.write(
      try configuration.json(), to: directory.appendingPathComponent(Self.configurationName))
  }
}
