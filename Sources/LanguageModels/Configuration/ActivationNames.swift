import Compute

extension ConfigurationFile {
  /// The activation that a key names.
  ///
  /// - Throws: `CheckpointError.badConfiguration` for one that is not implemented.
  func activation(_ key: String, default fallback: String) throws -> Activation {
    let name = try optionalString(key) ?? fallback
    switch name {
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_python_tanh": return .geluTanh
    case "gelu", "gelu_python": return .gelu
    case "relu": return .relu
    case "silu", "swish": return .silu
    default: throw error(key, "is '\(name)'; known are gelu, gelu_new, gelu_pytorch_tanh, relu, silu")
    }
  }

  /// The width of one of several heads side by side.
  ///
  /// - Throws: `CheckpointError.badConfiguration` if the heads do not divide the width.
  func headWidth(_ width: Int, heads: Int, key: String) throws -> Int {
    guard width % heads == 0 else {
      throw error(key, "is \(heads), which does not divide the width \(width)")
    }
    return width / heads
  }
}
