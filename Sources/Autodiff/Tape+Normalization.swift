import Compute

extension Tape {
  /// Layer normalisation over the last dimension.
  ///
  /// - Parameters:
  ///   - x: `[rows, n]`.
  ///   - weight: `[n]`.
  ///   - bias: `[n]`.
  public func layerNorm(_ x: Variable, weight: Variable, bias: Variable?, epsilon: Float) throws -> Variable {
    let result = try backend.layerNorm(x.value, weight: weight.value, bias: bias?.value, epsilon: epsilon)
    let (backend, input, scale) = (backend, x.value, weight.value)
    let inputs = [x, weight] + (bias.map { [$0] } ?? [])
    return try record("layerNorm", result.output, inputs: inputs) { cotangent, wanted in
      var parts: [Tensor?] = [nil, nil]
      if wanted[0] {
        parts[0] = try backend.layerNormBackward(
          cotangent, x: input, weight: scale, mean: result.mean, rstd: result.rstd)
      }
      var biasGradient: Tensor?
      if wanted.dropFirst().contains(true) {
        let gradients = try backend.layerNormBackwardParameters(
          cotangent, x: input, mean: result.mean, rstd: result.rstd)
        if wanted[1] { parts[1] = gradients.weight }
        biasGradient = gradients.bias
      }
      if wanted.count == 3 { parts.append(wanted[2] ? biasGradient : nil) }
      return parts
    }
  }

  /// Root-mean-square normalisation over the last dimension.
  public func rmsNorm(_ x: Variable, weight: Variable, epsilon: Float) throws -> Variable {
    let result = try backend.rmsNorm(x.value, weight: weight.value, epsilon: epsilon)
    let (backend, input, scale) = (backend, x.value, weight.value)
    return try record("rmsNorm", result.output, inputs: [x, weight]) { cotangent, wanted in
      [
        wanted[0] ? try backend.rmsNormBackward(cotangent, x: input, weight: scale, rstd: result.rstd) : nil,
        wanted[1] ? try backend.rmsNormBackwardWeight(cotangent, x: input, rstd: result.rstd) : nil,
      ]
    }
  }

  /// Softmax of `factor x` over the last dimension.
  public func softmax(_ x: Variable, scale factor: Float = 1) throws -> Variable {
    let output = try backend.softmax(x.value, scale: factor)
    let backend = backend
    return try record("softmax", output, inputs: [x]) { cotangent, _ in
      [try backend.softmaxBackward(cotangent, y: output, scale: factor)]
    }
  }
}
