import Autodiff
import Compute
import Foundation
import LanguageModels

/// Everything that is trained of a prompt, by name: what PEFT has no place for, and networks from which a run goes on.
public struct PromptParameters: Sendable, Hashable {
  /// The file in an adapter's folder.
  public static let fileName = "prompt.safetensors"

  /// A tensor as it is kept.
  public struct Tensor: Sendable, Hashable {
    public var shape: Shape
    /// Row-major.
    public var values: [Float]
  }

  public var tensors: [String: Tensor]

  /// The values that a prompt has now.
  public init(_ prompt: any Prompt, on backend: any ComputeBackend) throws {
    tensors = [:]
    for parameter in prompt.parameters {
      tensors[parameter.name] = Tensor(shape: parameter.shape, values: try backend.values(parameter.value))
    }
  }

  /// Reads a folder's file; nil if there is none.
  ///
  /// - Throws: `CheckpointError` or `MethodError.badAdapter` naming file and tensor.
  public init?(directory: URL) throws {
    let url = directory.appendingPathComponent(Self.fileName)
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let file = try SafetensorsFile(url: url)
    tensors = try file.entries.mapValues { Tensor(shape: $0.shape, values: try file.floats(of: $0)) }
    for (name, tensor) in tensors {
      if let bad = tensor.values.firstIndex(where: { !$0.isFinite }) {
        throw MethodError.badAdapter(path: url.path, reason: "tensor '\(name)' is not finite at element \(bad)")
      }
    }
  }

  /// - Throws: `CheckpointError.unwritable`.
  public func write(to directory: URL) throws {
    try SafetensorsWriter.write(
      tensors.map { SafetensorsWriter.Item(name: $0.key, shape: $0.value.shape, floats: $0.value.values) },
      to: directory.appendingPathComponent(Self.fileName))
  }

  /// Puts the values in place of a prompt's own, in its memory.
  ///
  /// - Throws: `MethodError.badAdapter` for a tensor that is missing or has another shape.
  public func restore(_ prompt: any Prompt, path: String, on backend: any ComputeBackend) throws {
    let file = URL(fileURLWithPath: path).appendingPathComponent(Self.fileName).path
    for parameter in prompt.parameters {
      guard let tensor = tensors[parameter.name] else {
        throw MethodError.badAdapter(path: file, reason: "tensor '\(parameter.name)' is missing")
      }
      guard tensor.shape == parameter.shape else {
        throw MethodError.badAdapter(
          path: file,
          reason: "tensor '\(parameter.name)' has shape \(tensor.shape), the method asks for \(parameter.shape)")
      }
      guard parameter.count > 0 else { continue }
      try tensor.values.withUnsafeBytes { try backend.write($0, to: parameter.value) }
    }
  }
}
