import Compute
import Foundation

/// A dense layer behind pooling: `activation(W x + b)`.
public struct SentenceDense {
  /// `[outputs, inputs]`, row-major.
  public let weight: [Float]
  /// `[outputs]`; nil for none.
  public let bias: [Float]?
  public let inputs: Int
  public let outputs: Int
  /// Nil for the identity.
  public let activation: Activation?

  /// Reads a module's folder: `config.json` and `model.safetensors`.
  ///
  /// - Throws: `CheckpointError`.
  init(_ folder: URL) throws {
    let file = try ConfigurationFile(url: folder.appendingPathComponent("config.json"))
    try Self.checkNames(file)
    if try file.boolean("use_residual", default: false) {
      throw file.error("use_residual", "is true, which is not supported")
    }
    inputs = try file.integer("in_features")
    outputs = try file.integer("out_features")
    let name = try file.optionalString("activation_function") ?? "torch.nn.modules.activation.Tanh"
    switch name.split(separator: ".").last {
    case "Identity": activation = nil
    case "Tanh": activation = .tanh
    case "ReLU": activation = .relu
    case "GELU": activation = .gelu
    case "SiLU": activation = .silu
    default: throw file.error("activation_function", "is '\(name)'; known are Identity, Tanh, ReLU, GELU and SiLU")
    }
    let tensors = try SafetensorsFile(url: folder.appendingPathComponent("model.safetensors"))
    func values(_ name: String, _ shape: Shape) throws -> [Float] {
      guard let entry = tensors.entries[name] else {
        throw CheckpointError.missingTensor(path: tensors.url.path, name: name)
      }
      guard entry.shape == shape else {
        throw CheckpointError.wrongShape(path: tensors.url.path, name: name, found: entry.shape, expected: shape)
      }
      return try tensors.floats(of: entry)
    }
    weight = try values("linear.weight", [outputs, inputs])
    bias = try file.boolean("bias", default: true) ? try values("linear.bias", [outputs]) : nil
  }

  /// - Throws: `CheckpointError.badConfiguration` for a module that reads or writes something other than the text's
  ///   vector.
  static func checkNames(_ file: ConfigurationFile) throws {
    for key in ["module_input_name", "module_output_name"] {
      if let name = try file.optionalString(key), name != "sentence_embedding" {
        throw file.error(key, "is '\(name)'; only 'sentence_embedding' is supported")
      }
    }
  }

  /// `[rows, inputs]` to `[rows, outputs]`, row-major.
  public func callAsFunction(_ rows: [Float], on backend: any ComputeBackend) throws -> [Float] {
    let product = try backend.matmul(
      try backend.tensor(rows, [rows.count / inputs, inputs]), try backend.tensor(weight, [outputs, inputs]),
      MatmulOptions(transposeB: true), bias: try bias.map { try backend.tensor($0, [outputs]) })
    return try backend.values(try activation.map { try backend.activation($0, product) } ?? product)
  }
}
