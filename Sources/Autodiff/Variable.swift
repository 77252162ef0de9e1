import Compute

/// A value on a tape.
public final class Variable {
  public let value: Tensor
  /// Whether a gradient can reach something trainable through this value.
  public let requiresGradient: Bool
  /// Whether the memory behind it keeps its contents: a frozen parameter, of which a backend may keep a repacked copy.
  ///
  /// A trained parameter on a tape that does not record needs no gradient and still changes between tapes.
  public let isFrozen: Bool
  /// Place of the operation that made this value, for reports.
  public let name: String

  init(_ value: Tensor, requiresGradient: Bool, isFrozen: Bool = false, name: String) {
    self.value = value
    self.requiresGradient = requiresGradient
    self.isFrozen = isFrozen
    self.name = name
  }

  public var shape: Shape { value.shape }
}
