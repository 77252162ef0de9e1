import Compute

/// A named tensor that a model or a prompt owns and that may be trained.
public final class Parameter {
  /// The name it has in a checkpoint.
  public let name: String
  /// Its current value; optimizers update the memory in place.
  public var value: Tensor
  /// Frozen parameters get no gradient and cost nothing in the backward pass.
  public var isTrainable: Bool

  public init(name: String, value: Tensor, isTrainable: Bool = false) {
    self.name = name
    self.value = value
    self.isTrainable = isTrainable
  }

  public var shape: Shape { value.shape }
  public var count: Int { value.count }
}
