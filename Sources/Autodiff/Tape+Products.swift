import Compute

extension Tape {
  /// `x W + bias + addend` over the last dimension, or with `W'` for `W` under `transposeB`.
  ///
  /// - Parameters:
  ///   - x: `[rows, k]`.
  ///   - weight: `[k, n]`, or `[n, k]` with `transposeB`; f32, bf16 or f16; trainable only in f32.
  ///   - bias: `[n]`.
  ///   - addend: `[rows, n]`, a residual stream for example: it is added while the product is written.
  /// - Returns: `[rows, n]`.
  public func linear(
    _ x: Variable, weight: Variable, bias: Variable? = nil, adding addend: Variable? = nil, transposeB: Bool = false,
    roundsOperands: Bool = false
  ) throws -> Variable {
    // A weight that is being trained changes between steps, so the backend must not keep a repacked copy of it, not
    // even where no gradient is wanted, as in validation.
    let options = MatmulOptions(
      transposeB: transposeB, frozen: weight.isFrozen, roundsOperands: roundsOperands)
    let output = try backend.matmul(x.value, weight.value, options, bias: bias?.value, addend: addend?.value)
    // A frozen weight needs no gradient, and so the input need not be kept.
    let (backend, input, matrix) = (backend, weight.requiresGradient ? x.value : nil, weight.value)
    let inputs = [x, weight] + [bias, addend].compactMap(\.self)
    let hasBias = bias != nil
    let rows = Self.gradientRows(of: inputs, keepingRows: [x, addend])
    let (xNode, addendNode) = (x.node, addend?.node)
    return try record("linear", output, inputs: inputs, rows: rows) { cotangent, wanted in
      var parts: [Tensor?] = [
        wanted[0]
          ? try backend.matmulBackwardA(try cotangent.rows(of: rows, reaching: xNode), matrix, options) : nil,
        wanted[1] ? try input.map { try backend.matmulBackwardB(cotangent, $0, options, shared: true) } : nil,
      ]
      if hasBias { parts.append(wanted[2] ? try backend.columnSums(cotangent) : nil) }
      if let addendNode {
        parts.append(wanted[wanted.count - 1] ? try cotangent.rows(of: rows, reaching: addendNode) : nil)
      }
      return parts
    }
  }

  /// An elementwise non-linearity of `x W + bias`, in one operation where no gradient will be wanted.
  public func activatedLinear(
    _ kind: Activation, _ x: Variable, weight: Variable, bias: Variable? = nil, transposeB: Bool = false,
    roundsOperands: Bool = false
  ) throws -> Variable {
    guard isForValuesAlone else {
      return try activation(
        kind, try linear(x, weight: weight, bias: bias, transposeB: transposeB, roundsOperands: roundsOperands))
    }
    let options = MatmulOptions(
      transposeB: transposeB, activation: kind, frozen: weight.isFrozen, roundsOperands: roundsOperands)
    let output = try backend.matmul(x.value, weight.value, options, bias: bias?.value)
    return try record(kind.rawValue, output, inputs: []) { _, _ in [] }
  }

  /// The losses of rows of hidden states under an output projection (`ComputeBackend.linearCrossEntropy`).
  ///
  /// - Parameters:
  ///   - hidden: `[rows, d]`.
  ///   - weight: `[V, d]`.
  ///   - bias: `[V]`.
  /// - Returns: the loss of each row, `[rows]`.
  public func linearCrossEntropy(
    _ hidden: Variable, _ labels: Indices, weight: Variable, bias: Variable? = nil, ignoreIndex: Int32 = -100,
    roundsOperands: Bool = false
  ) throws -> Variable {
    let options = MatmulOptions(frozen: weight.isFrozen, roundsOperands: roundsOperands)
    let result = try backend.linearCrossEntropy(
      hidden.value, labels, weight: weight.value, bias: bias?.value, ignoreIndex: ignoreIndex,
      wantsGradient: isRecording && hidden.requiresGradient, options: options,
      logitBytes: recomputesLayers ? 16 << 20 : 64 << 20)
    let wantsParameters = weight.requiresGradient || bias?.requiresGradient == true
    let rows = wantsParameters ? hidden.value : nil
    let (backend, matrix, shift) = (backend, weight.value, bias?.value)
    let inputs = [hidden, weight] + (bias.map { [$0] } ?? [])
    return try record("crossEntropy", result.losses, inputs: inputs) { cotangent, wanted in
      var parts: [Tensor?] = [nil, nil]
      if wanted[0], let unit = result.unitGradient { parts[0] = try backend.scaleRows(unit, by: cotangent) }
      let wantsBias = wanted.count == 3 && wanted[2]
      var biasGradient: Tensor?
      if let rows, wanted[1] || wantsBias {
        let gradients = try backend.linearCrossEntropyBackwardParameters(
          cotangent, rows, labels, weight: matrix, bias: shift, ignoreIndex: ignoreIndex)
        parts[1] = gradients.weight
        biasGradient = gradients.bias
      }
      if wanted.count == 3 { parts.append(biasGradient) }
      return parts
    }
  }

  /// The losses of rows of logits `[rows, V]`: `[rows]`.
  public func crossEntropy(_ logits: Variable, _ labels: Indices, ignoreIndex: Int32 = -100) throws -> Variable {
    let result = try backend.crossEntropy(logits.value, labels, ignoreIndex: ignoreIndex)
    let (backend, values) = (backend, logits.value)
    return try record("crossEntropy", result.losses, inputs: [logits]) { cotangent, _ in
      [
        try backend.crossEntropyBackward(
          cotangent, logits: values, labels, ignoreIndex: ignoreIndex, logSumExp: result.logSumExp)
      ]
    }
  }
}
