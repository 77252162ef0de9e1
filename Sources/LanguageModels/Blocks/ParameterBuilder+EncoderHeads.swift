import Autodiff
import Compute

extension ParameterBuilder {
  /// A linear map with bias that a checkpoint may hold or not; a random model has none.
  func optionalLinear(_ name: String, _ inputs: Int, _ outputs: Int, isPrefixed: Bool = false) throws -> Linear? {
    guard storedShape("\(name).weight", isPrefixed: isPrefixed) != nil else { return nil }
    let linear = try linear(name, inputs, outputs, isPrefixed: isPrefixed)
    // Only a method that uses it trains it.
    for parameter in [linear.weight] + (linear.bias.map { [$0] } ?? []) { parameter.isTrainable = false }
    return linear
  }

  /// The head of a masked language model, if the checkpoint has it; a random model has one.
  ///
  /// - Parameters:
  ///   - dense: the layer in front of the norm.
  ///   - output: the projection, which has a weight of its own only where it is not tied to the embedding.
  ///   - bias: where the projection's bias stands if not under its own name.
  func tokenHead(
    dense: String, norm: String, output: String, bias: String? = nil, activation: Activation, epsilon: Double,
    _ embedding: Parameter
  ) throws -> TokenHead? {
    guard !isCheckpoint || storedShape("\(dense).weight", isPrefixed: false) != nil else { return nil }
    let width = embedding.shape.columns
    let transform = try linear(dense, width, width, isPrefixed: false)
    let norm = try layerNorm(
      norm, width, epsilon: epsilon, isPrefixed: false, olderNames: (weight: "gamma", bias: "beta"))
    return TokenHead(
      transform: transform, activation: activation, norm: norm,
      output: try tokenProjection(output, bias: bias, embedding))
  }

  /// A classification head, if the checkpoint has one.
  ///
  /// - Parameters:
  ///   - name: its last layer.
  ///   - inner: a layer in front of it that is the head's own.
  ///   - features: from hidden states to what the last layer reads.
  func encoderClassifier(
    _ name: String, reading token: StoredClassifier.Token, inner: Linear? = nil, width: Int,
    features: @escaping (_ hidden: Variable, _ tape: Tape) throws -> Variable
  ) throws -> StoredClassifier? {
    guard let shape = storedShape("\(name).weight", isPrefixed: false) else { return nil }
    let names = try configuration.labels()
    guard shape.rank == 2, names.isEmpty || names.count == shape[0] else {
      throw configuration.error("id2label", "has \(names.count) labels, the tensor '\(name).weight' the shape \(shape)")
    }
    guard let output = try optionalLinear(name, width, shape[0]) else { return nil }
    let layers = (inner.map { [$0] } ?? []) + [output]
    return StoredClassifier(
      labels: names.isEmpty ? (0..<shape[0]).map { "LABEL_\($0)" } : names, token: token,
      parameters: layers.flatMap { [$0.weight] + ($0.bias.map { [$0] } ?? []) }
    ) { hidden, tape in
      try tape.scope("classifier") { try output(try features(hidden, tape), on: tape) }
    }
  }

  /// The projection to scores of tokens with its bias, which may be stored under two names and is then the same.
  private func tokenProjection(_ output: String, bias: String?, _ embedding: Parameter) throws -> Linear {
    let isTied = try configuration.boolean("tie_word_embeddings", default: true)
    let ownBias = "\(output).bias"
    let hasOwnBias = storedShape(ownBias, isPrefixed: false) != nil
    let weight: Parameter
    if isTied {
      try skipCopy("\(output).weight", of: embedding)
      weight = embedding
    } else {
      weight = try parameter("\(output).weight", embedding.shape, initial: .normal(scale: 1), isPrefixed: false)
    }
    let biasName = hasOwnBias ? ownBias : bias ?? ownBias
    if hasOwnBias, let bias { skip(bias) }
    let shift = try parameter(biasName, [embedding.shape[0]], initial: .constant(0), isPrefixed: false)
    return Linear(weight: weight, bias: shift, roundsOperands: options.roundsOperands)
  }
}
