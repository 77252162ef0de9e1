import Compute

/// A value on a tape.
public final class Variable {
  public let value: Tensor
  /// Whether the memory behind it keeps its contents: a frozen parameter, of which a backend may keep a repacked copy.
  ///
  /// A trained parameter on a tape that does not record needs no gradient and still changes between tapes.
  public let isFrozen: Bool
  let node: Node

  /// What the record keeps of a variable: where its gradient goes.
  ///
  /// The value itself lives as long as somebody computes with it, or as a vector-Jacobian product needs it.
  final class Node {
    let requiresGradient: Bool
    let shape: Shape
    let name: String

    init(requiresGradient: Bool, shape: Shape, name: String) {
      self.requiresGradient = requiresGradient
      self.shape = shape
      self.name = name
    }
  }

  init(_ value: Tensor, requiresGradient: Bool, isFrozen: Bool = false, name: String) {
    self.value = value
    self.isFrozen = isFrozen
    node = Node(requiresGradient: requiresGradient, shape: value.shape, name: name)
  }

  public var shape: Shape { value.shape }
  /// Whether a gradient can reach something trainable through this value.
  public var requiresGradient: Bool { node.requiresGradient }
  /// Place of the operation that made this value, for reports.
  public var name: String { node.name }
}
