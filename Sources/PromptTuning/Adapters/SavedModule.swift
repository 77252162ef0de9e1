import Compute
import LanguageModels

/// A tensor of the model that an adapter holds beside its prompt, as PEFT saves classifiers.
public struct SavedModule: Sendable, Hashable {
  /// What PEFT puts in front of names.
  private static let prefix = "base_model."

  /// The name that it has in the model's checkpoint.
  public var name: String
  public var shape: Shape
  /// Row-major.
  public var values: [Float]

  public init(name: String, shape: Shape, values: [Float]) {
    precondition(values.count == shape.count, "a tensor has other values than its shape")
    self.name = name
    self.shape = shape
    self.values = values
  }

  /// All tensors of an adapter's file but the prompt.
  ///
  /// - Throws: `MethodError.badAdapter` for a tensor that is neither or is not finite.
  static func read(_ file: SafetensorsFile) throws -> [SavedModule] {
    try file.entries.keys.sorted().compactMap { name in
      guard name != StaticPrompt.tensorName, let entry = file.entries[name] else { return nil }
      guard name.hasPrefix(prefix) else {
        throw MethodError.badAdapter(
          path: file.url.path, reason: "tensor '\(name)' is neither the prompt nor a part of the model")
      }
      let values = try file.floats(of: entry)
      if let bad = values.firstIndex(where: { !$0.isFinite }) {
        throw MethodError.badAdapter(
          path: file.url.path, reason: "tensor '\(name)' is not finite at element \(bad)")
      }
      return SavedModule(name: String(name.dropFirst(prefix.count)), shape: entry.shape, values: values)
    }
  }

  /// The tensor for an adapter's file.
  var item: SafetensorsWriter.Item {
    SafetensorsWriter.Item(name: Self.prefix + name, shape: shape, floats: values)
  }

  /// The first parts of the names, which PEFT lists as `modules_to_save`.
  static func names(of modules: [SavedModule]) -> [String] {
    var names: [String] = []
    for module in modules {
      let name = module.name.split(separator: ".").first.map(String.init) ?? module.name
      if !names.contains(name) { names.append(name) }
    }
    return names
  }
}

extension Adapter {
  /// Puts the saved parts of the model in place of the checkpoint's.
  ///
  /// - Throws: `MethodError.badAdapter` with both shapes for one that the model has in another shape or not at all.
  public func install(into model: any LanguageModel) throws {
    for module in modules {
      guard let parameter = model.parameters.first(where: { $0.name == module.name }) else {
        throw MethodError.badAdapter(
          path: path, reason: "it holds '\(module.name)', which the model's checkpoint does not have")
      }
      guard parameter.shape == module.shape else {
        throw MethodError.badAdapter(
          path: path, reason: "'\(module.name)' has shape \(module.shape), the model's is \(parameter.shape)")
      }
      // A new tensor, because a backend may keep a repacked copy of a frozen one.
      parameter.value = try model.backend.tensor(module.values, module.shape)
    }
  }
}
