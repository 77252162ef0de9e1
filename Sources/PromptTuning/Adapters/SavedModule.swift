import Autodiff
import Compute
import Foundation
import LanguageModels

/// A tensor of a head that is kept beside a prompt: as PEFT saves classifiers, or in a file of its own.
public struct SavedModule: Sendable, Hashable {
  /// The file for heads that PEFT has no place for.
  public static let fileName = "head.safetensors"

  /// What PEFT puts in front of names.
  public static let prefix = "base_model."

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
      guard !PEFTPrompt.tensorNames.contains(name), let entry = file.entries[name] else { return nil }
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

  /// The tensors of a folder's file for heads of our own; none without such a file.
  ///
  /// - Throws: `MethodError.badAdapter` or `CheckpointError`.
  public static func readOwn(_ directory: URL) throws -> [SavedModule] {
    let url = directory.appendingPathComponent(fileName)
    guard FileManager.default.fileExists(atPath: url.path) else { return [] }
    let file = try SafetensorsFile(url: url)
    return try file.entries.keys.sorted().compactMap { name in
      guard let entry = file.entries[name] else { return nil }
      let module = SavedModule(name: name, shape: entry.shape, values: try file.floats(of: entry))
      guard module.isOwn else {
        throw MethodError.badAdapter(path: url.path, reason: "tensor '\(name)' is no part of a head")
      }
      guard module.values.allSatisfy(\.isFinite) else {
        throw MethodError.badAdapter(path: url.path, reason: "tensor '\(name)' is not finite")
      }
      return module
    }
  }

  /// Writes the tensors of heads of our own, if there are any.
  ///
  /// - Throws: `CheckpointError.unwritable`.
  public static func writeOwn(_ modules: [SavedModule], to directory: URL) throws {
    let own = modules.filter(\.isOwn)
    guard !own.isEmpty else { return }
    try SafetensorsWriter.write(
      own.map { SafetensorsWriter.Item(name: $0.name, shape: $0.shape, floats: $0.values) },
      to: directory.appendingPathComponent(fileName))
  }

  /// Whether PEFT has no place for it.
  var isOwn: Bool { name.hasPrefix(AnswerLayers.ownPrefix) }

  /// The tensor for PEFT's file.
  var item: SafetensorsWriter.Item {
    SafetensorsWriter.Item(name: Self.prefix + name, shape: shape, floats: values)
  }

  /// What PEFT lists as `modules_to_save`: the parts of the model that have such names.
  ///
  /// `classifier.dense.weight` belongs to `classifier`, `bert.pooler.dense.weight` to `pooler`.
  static func names(of modules: [SavedModule]) -> [String] {
    var names: [String] = []
    for module in modules where !module.isOwn {
      let parts = module.name.split(separator: ".").dropLast().map(String.init)
      let name = parts.count > 2 ? parts[1] : parts.first ?? module.name
      if !names.contains(name) { names.append(name) }
    }
    return names
  }
}

extension SavedModule {
  /// Puts tensors in place of those of the same name.
  ///
  /// - Parameters:
  ///   - parameters: a model's and a head's.
  ///   - path: of the adapter, for messages.
  /// - Throws: `MethodError.badAdapter` with both shapes for one that is there in another shape or not at all.
  public static func install(
    _ modules: [SavedModule], into parameters: [Parameter], path: String, on backend: any ComputeBackend
  ) throws {
    for module in modules {
      guard let parameter = parameters.first(where: { $0.name == module.name }) else {
        throw MethodError.badAdapter(
          path: path, reason: "it holds '\(module.name)', which neither the model's checkpoint nor its head has")
      }
      guard parameter.shape == module.shape else {
        throw MethodError.badAdapter(
          path: path, reason: "'\(module.name)' has shape \(module.shape), the model's is \(parameter.shape)")
      }
      // A new tensor, because a backend may keep a repacked copy of a frozen one.
      parameter.value = try backend.tensor(module.values, module.shape)
    }
  }
}

extension Adapter {
  /// Puts the saved parts of the model in place of the checkpoint's.
  ///
  /// - Throws: as `SavedModule.install`.
  public func install(into model: any LanguageModel) throws {
    try SavedModule.install(modules, into: model.parameters, path: path, on: model.backend)
  }
}
