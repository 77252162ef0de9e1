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
    /// The rows of a matrix that something trainable reaches; nil for all of them.
    ///
    /// The gradient of such a value has these rows alone. In the first layer behind a soft prompt the rows of frozen
    /// embeddings cost nothing in the backward pass until attention mixes them with those of the prompt.
    let rows: Range<Int>?
    let name: String

    init(requiresGradient: Bool, shape: Shape, rows: Range<Int>?, name: String) {
      self.requiresGradient = requiresGradient
      self.shape = shape
      self.rows = shape.rank == 2 && requiresGradient && rows != 0..<shape[0] ? rows : nil
      self.name = name
    }

    /// A gradient of all rows or of those that count, as one of the latter.
    ///
    /// - Throws: `ComputeError.shapeMismatch`.
    func rows(of gradient: Tensor) throws -> Tensor {
      if let rows, gradient.shape == [rows.count, shape[1]] { return gradient }
      guard gradient.shape == shape else {
        throw ComputeError.shapeMismatch(operation: "gradient of \(name)", shape, gradient.shape)
      }
      return try rows.map { try gradient.rows($0) } ?? gradient
    }
  }

  init(
    _ value: Tensor, requiresGradient: Bool, rows: Range<Int>? = nil, isFrozen: Bool = false, name: String
  ) {
    self.value = value
    self.isFrozen = isFrozen
    node = Node(requiresGradient: requiresGradient, shape: value.shape, rows: rows, name: name)
  }

  public var shape: Shape { value.shape }
  /// Whether a gradient can reach something trainable through this value.
  public var requiresGradient: Bool { node.requiresGradient }
  /// The rows that something trainable reaches, of a matrix; nil for all of them.
  public var gradientRows: Range<Int>? { node.rows }
  /// Place of the operation that made this value, for reports.
  public var name: String { node.name }
}
