import Autodiff
import Compute

/// Collects the parameters of a new model from a checkpoint or from a random generator, in a fixed order.
final class ParameterBuilder {
  /// What a parameter is before any training.
  enum Initial {
    case constant(Float)
    /// Normal with the configuration's deviation times a scale.
    case normal(scale: Float)
  }

  let configuration: ConfigurationFile
  let backend: any ComputeBackend
  let options: ModelOptions
  let source: TensorSource
  private let prefix: String
  private let storedPrefix: String
  private let deviation: Float
  private var used: Set<String> = []
  private(set) var parameters: [Parameter] = []

  /// - Parameters:
  ///   - prefixes: what stands in front of names; the first is the full model's, checkpoints of a part of it have
  ///     another one or none.
  ///   - deviationKey: the key of `config.json` with the deviation of random weights.
  init(
    _ configuration: ConfigurationFile, on backend: any ComputeBackend, _ options: ModelOptions,
    _ source: TensorSource, prefixes: [String], deviationKey: String = "initializer_range"
  ) throws {
    self.configuration = configuration
    self.backend = backend
    self.options = options
    self.source = source
    prefix = prefixes.first ?? ""
    deviation = Float(try configuration.number(deviationKey, default: 0.02))
    switch source {
    case .checkpoint(let checkpoint):
      let names = checkpoint.names
      storedPrefix = prefixes.first { prefix in names.contains { $0.hasPrefix(prefix) } } ?? ""
    case .random: storedPrefix = prefix
    }
  }

  // MARK: - Single tensors

  /// The next parameter.
  ///
  /// - Parameters:
  ///   - isPrefixed: the name follows the family's prefix.
  ///   - olderName: another name that it may have in a checkpoint.
  ///   - keepsF32: not to be rounded, as what attention adds to its scores.
  /// - Throws: `CheckpointError` if the checkpoint lacks it or has it in another shape.
  func parameter(
    _ name: String, _ shape: Shape, initial: Initial, isPrefixed: Bool = true, olderName: String? = nil,
    keepsF32: Bool = false
  ) throws -> Parameter {
    let fullName = isPrefixed ? prefix + name : name
    let value: Tensor
    switch source {
    case .checkpoint(let checkpoint):
      var stored = isPrefixed ? storedPrefix + name : name
      if let olderName, !checkpoint.contains(stored) {
        let older = isPrefixed ? storedPrefix + olderName : olderName
        if checkpoint.contains(older) { stored = older }
      }
      value = try checkpoint.load(
        stored, shape: shape, precision: options.isTrainable || keepsF32 ? .f32 : options.precision,
        isFrozen: !options.isTrainable, on: backend)
      used.insert(stored)
    case .random(let seed):
      value = try backend.tensor(initialValues(shape.count, initial, seed: seed), shape)
    }
    let parameter = Parameter(name: fullName, value: value, isTrainable: options.isTrainable)
    parameters.append(parameter)
    return parameter
  }

  /// Whether tensors come from a checkpoint, which may lack some of them.
  var isCheckpoint: Bool {
    if case .checkpoint = source { return true }
    return false
  }

  /// Counts a stored tensor as known that the model does not need.
  func skip(_ name: String) { used.insert(name) }

  /// Counts a stored tensor as known that is another one over again.
  ///
  /// - Throws: `CheckpointError.unsupported` if it is not.
  func skipCopy(_ name: String, of original: Parameter) throws {
    guard case .checkpoint(let checkpoint) = source, checkpoint.contains(name) else { return }
    let originalName = storedPrefix + original.name.dropFirst(prefix.count)
    guard try checkpoint.holdSameBytes(name, originalName) else {
      throw CheckpointError.unsupported(
        path: checkpoint.url.path,
        reason:
          "tensor '\(name)' differs from '\(originalName)' although the configuration ties them ('tie_word_embeddings')"
      )
    }
    used.insert(name)
  }

  /// The shape of a tensor that a checkpoint may hold or not; nil without one.
  func storedShape(_ name: String, isPrefixed: Bool = true) -> Shape? {
    guard case .checkpoint(let checkpoint) = source else { return nil }
    return checkpoint.shape(isPrefixed ? storedPrefix + name : name)
  }

  // MARK: - Building blocks

  /// A linear map: `name.weight` and, if wanted, `name.bias`.
  ///
  /// - Parameter scale: of the deviation of random weights.
  func linear(
    _ name: String, _ inputs: Int, _ outputs: Int, bias: Bool = true, layout: Linear.Layout = .outputsFirst,
    scale: Float = 1, isPrefixed: Bool = true
  ) throws -> Linear {
    let shape: Shape = layout == .outputsFirst ? [outputs, inputs] : [inputs, outputs]
    return Linear(
      weight: try parameter("\(name).weight", shape, initial: .normal(scale: scale), isPrefixed: isPrefixed),
      bias: bias
        ? try parameter("\(name).bias", [outputs], initial: .constant(0), isPrefixed: isPrefixed) : nil,
      layout: layout, roundsOperands: options.roundsOperands)
  }

  /// A layer norm: `name.weight` and `name.bias`.
  ///
  /// - Parameter olderNames: what weight and bias may be called instead.
  func layerNorm(
    _ name: String, _ width: Int, epsilon: Double, isPrefixed: Bool = true,
    olderNames: (weight: String, bias: String)? = nil
  ) throws -> Norm {
    let weight = try parameter(
      "\(name).weight", [width], initial: .constant(1), isPrefixed: isPrefixed,
      olderName: olderNames.map { "\(name).\($0.weight)" })
    let bias = try parameter(
      "\(name).bias", [width], initial: .constant(0), isPrefixed: isPrefixed,
      olderName: olderNames.map { "\(name).\($0.bias)" })
    return Norm(kind: .layer(bias: bias), weight: weight, epsilon: Float(epsilon))
  }

  /// A root-mean-square norm: `name.weight`.
  func rmsNorm(_ name: String, _ width: Int, epsilon: Double) throws -> Norm {
    Norm(
      kind: .rootMeanSquare, weight: try parameter("\(name).weight", [width], initial: .constant(1)),
      epsilon: Float(epsilon))
  }

  /// A table with a vector for each row number: `name.weight`.
  func embedding(_ name: String, _ rows: Int, _ width: Int) throws -> Parameter {
    try parameter("\(name).weight", [rows, width], initial: .normal(scale: 1))
  }

  /// The projection to scores of tokens: the embedding again if `tie_word_embeddings`, else a matrix of its own.
  ///
  /// - Parameters:
  ///   - isTied: what holds where `config.json` does not say.
  ///   - names: of the matrix; a checkpoint may use any of them, the first is the model's own.
  /// - Returns: nil where a checkpoint of a bare transformer or of a classifier has none.
  /// - Throws: `CheckpointError` for a missing one, and for one that is stored and is not the embedding it is said to be.
  func outputProjection(_ embedding: Parameter, isTied: Bool, names: [String] = ["lm_head"]) throws -> Linear? {
    let weightNames = names.map { "\($0).weight" }
    let stored = weightNames.first { storedShape($0, isPrefixed: false) != nil }
    if try configuration.boolean("tie_word_embeddings", default: isTied) {
      if let stored { try skipCopy(stored, of: embedding) }
      return Linear(weight: embedding, roundsOperands: options.roundsOperands)
    }
    if case .checkpoint = source, stored == nil, storedPrefix.isEmpty || decoderClassifierName != nil { return nil }
    return Linear(
      weight: try parameter(
        weightNames[0], embedding.shape, initial: .normal(scale: 1), isPrefixed: false, olderName: stored),
      roundsOperands: options.roundsOperands)
  }

  // MARK: - Leftovers

  /// Counts stored tensors as known that the model does not need, by how their names end.
  ///
  /// - Throws: `CheckpointError.unsupported` for a stored tensor that has no place in the model.
  func finish(ignoring endings: [String] = []) throws {
    guard case .checkpoint(let checkpoint) = source else { return }
    let left = checkpoint.names.filter { name in
      !used.contains(name) && !endings.contains { name.hasSuffix($0) }
    }
    guard let first = left.first else { return }
    throw CheckpointError.unsupported(
      path: checkpoint.url.path,
      reason: "tensor '\(first)'\(left.count > 1 ? " (and \(left.count - 1) more)" : "") has no place in the model")
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
