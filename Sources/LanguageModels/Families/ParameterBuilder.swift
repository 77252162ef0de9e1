import Autodiff
import Compute

/// Collects the parameters of a new model from a checkpoint or from a random generator, in a fixed order.
struct ParameterBuilder {
  /// What a parameter is before any training.
  enum Initial {
    case constant(Float)
    /// Normal with the configuration's deviation times a scale.
    case normal(scale: Float)
  }

  private let backend: any ComputeBackend
  private let options: ModelOptions
  private let source: TensorSource
  private let prefix: String
  private let deviation: Float
  private var usesPrefix = true
  private(set) var parameters: [Parameter] = []

  /// - Parameter prefix: stands in front of names in full checkpoints; base-model checkpoints leave it out.
  init(
    _ backend: any ComputeBackend, _ options: ModelOptions, _ source: TensorSource, prefix: String, deviation: Float
  ) {
    self.backend = backend
    self.options = options
    self.source = source
    self.prefix = prefix
    self.deviation = deviation
    if case .checkpoint(let checkpoint) = source {
      usesPrefix = checkpoint.names.contains { $0.hasPrefix(prefix) }
    }
  }

  /// The next parameter.
  ///
  /// - Throws: `CheckpointError` if the checkpoint lacks it or has it in another shape.
  mutating func parameter(_ name: String, _ shape: Shape, initial: Initial, isPrefixed: Bool = true) throws
    -> Parameter
  {
    let fullName = isPrefixed ? prefix + name : name
    let value: Tensor
    switch source {
    case .checkpoint(let checkpoint):
      let storedName = isPrefixed && !usesPrefix ? name : fullName
      value = try checkpoint.load(
        storedName, shape: shape, precision: options.isTrainable ? .f32 : options.precision, on: backend)
    case .random(let seed):
      value = try backend.tensor(initialValues(shape.count, initial, seed: seed), shape)
    }
    let parameter = Parameter(name: fullName, value: value, isTrainable: options.isTrainable)
    parameters.append(parameter)
    return parameter
  }

  private func initialValues(_ count: Int, _ initial: Initial, seed: UInt64) -> [Float] {
    switch initial {
    case .constant(let value): return [Float](repeating: value, count: count)
    case .normal(let scale):
      var generator = Philox(seed: seed, stream: 0x6D6F_6465_6C00_0000 + UInt64(parameters.count))
      return (0..<count).map { _ in generator.nextNormal() * deviation * scale }
    }
  }
}
