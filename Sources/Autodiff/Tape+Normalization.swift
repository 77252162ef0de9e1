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
    let rows = Self.gradientRows(of: inputs, keepingRows: [x])
    return try record("layerNorm", result.output, inputs: inputs, rows: rows) { cotangent, wanted in
      var parts: [Tensor?] = [nil, nil]
      if wanted[0] {
        let (x, mean, rstd) = (
          try rows.map { try input.rows($0) } ?? input, rows.map { result.mean.elements($0) } ?? result.mean,
          rows.map { result.rstd.elements($0) } ?? result.rstd
        )
        parts[0] = try backend.layerNormBackward(cotangent, x: x, weight: scale, mean: mean, rstd: rstd)
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
    let rows = Self.gradientRows(of: [x, weight], keepingRows: [x])
    return try record("rmsNorm", result.output, inputs: [x, weight], rows: rows) { cotangent, wanted in
      let (x, rstd) = (
        try rows.map { try input.rows($0) } ?? input, rows.map { result.rstd.elements($0) } ?? result.rstd
      )
      return [
        wanted[0] ? try backend.rmsNormBackward(cotangent, x: x, weight: scale, rstd: rstd) : nil,
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
