import Compute

/// A value on a tape.
public final class Variable {
  public let value: Tensor
  /// Whether a gradient can reach something trainable through this value.
  public let requiresGradient: Bool
  /// Place of the operation that made this value, for reports.
  public let name: String

  init(_ value: Tensor, requiresGradient: Bool, name: String) {
    self.value = value
    self.requiresGradient = requiresGradient
    self.name = name
  }

  public var shape: Shape { value.shape }
}
