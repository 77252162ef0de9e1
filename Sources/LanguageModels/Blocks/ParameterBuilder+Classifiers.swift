import Autodiff
import Compute

extension ParameterBuilder {
  /// Whether the checkpoint's classifier answers for every token, as `architectures` says.
  ///
  /// - Parameter otherwise: what the tensors say where the configuration does not.
  func readsEveryToken(otherwise: Bool) throws -> Bool {
    let names = try configuration.optionalStrings("architectures") ?? []
    if names.contains(where: { $0.hasSuffix("ForTokenClassification") }) { return true }
    return names.contains { $0.hasSuffix("ForSequenceClassification") } ? false : otherwise
  }

  /// What a decoder's checkpoint calls its classifier; nil where it has none.
  var decoderClassifierName: String? {
    ["score", "classifier"].first { storedShape("\($0).weight", isPrefixed: false) != nil }
  }

  /// The classifier of a decoder's checkpoint that was trained for classification of sequences or tokens.
  ///
  /// That of sequences is `score` without a bias; that of tokens has one, and some families call it `classifier`.
  func decoderClassifier(width: Int) throws -> StoredClassifier? {
    guard let name = decoderClassifierName, let shape = storedShape("\(name).weight", isPrefixed: false),
      case .checkpoint(let checkpoint) = source
    else { return nil }
    let labels = try configuration.labels()
    guard shape.rank == 2, labels.isEmpty || labels.count == shape[0] else {
      throw CheckpointError.wrongShape(
        path: checkpoint.url.path, name: "\(name).weight", found: shape, expected: [labels.count, width])
    }
    let hasBias = storedShape("\(name).bias", isPrefixed: false) != nil
    let output = try linear(name, width, shape[0], bias: hasBias, isPrefixed: false)
    let parameters = [output.weight] + (output.bias.map { [$0] } ?? [])
    // Only a classification method trains it; the language model does not reach it.
    for parameter in parameters { parameter.isTrainable = false }
    return StoredClassifier(
      labels: labels.isEmpty ? (0..<shape[0]).map { "LABEL_\($0)" } : labels,
      token: try readsEveryToken(otherwise: hasBias) ? .every : .last, parameters: parameters
    ) { hidden, tape in
      try tape.scope(name) { try output(hidden, on: tape) }
    }
  }
}
