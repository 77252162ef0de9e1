import Compute

extension RoundingBound {
  /// Of sums of products: Cauchy and Schwarz bound the sum of the magnitudes of the terms.
  ///
  /// A device may take denormal factors for 0.
  static func products(terms: Int, _ first: Double, _ second: Double, added: Double = 0) -> RoundingBound {
    let (units, flushed) = (growth(terms), Double(terms) * Tracked.tiny * (1 + first + second))
    return RoundingBound { _, expected in
      units * Tracked.unit * (first * second + added + abs(expected)) + flushed
    }
  }
}

/// Products and attention on both devices.
extension CheckedBackend {
  func checkMatmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, _ output: Tensor
  ) throws {
    try check(
      .matmul, inputs: [a, bias, addend] + (problem.frozen ? [] : [b]), outputs: [output],
      frozenInput: problem.frozen ? b : nil,
      bounds: { side in
        // Norms of whole operands bound those of their rows and columns.
        let first = try problem.transposeA ? side.norm(a) : side.largestNorm(a, width: problem.k)
        let second = try problem.transposeB ? side.largestNorm(b, width: problem.k) : side.norm(b)
        let added = try Double(abs(problem.beta)) * side.largest(addend) + side.largest(bias)
        return [
          .products(
            terms: problem.k, Double(abs(problem.alpha)) * first, problem.roundsOperands ? 1.01 * second : second,
            added: added)
        ]
      }
    ) { side in
      try side.backend.matmul(
        problem, side[a], side[b], bias: side[bias], addend: side[addend], into: side[output])
    }
  }

  func checkAttention(
    _ q: Tensor, _ k: Tensor, _ v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    _ output: Tensor, _ logSumExp: Tensor
  ) throws {
    try check(
      .attention, inputs: [q, k, v, attributes.bias.tensor], outputs: [output, logSumExp],
      bounds: { side in
        let range = try scoreRange(side, q, k, attributes, layout)
        let units = Self.scoreUnits(range, keys: layout.keyCount, rounded: attributes.mayRoundOperands)
        return [.absolute(units, of: try side.largest(v)), .absolute(units, of: 1 + range)]
      }
    ) { side in
      try side.backend.attention(
        q: side[q], k: side[k], v: side[v], layout, attributes.on(side), into: side[output],
        logSumExp: side[logSumExp])
    }
  }

  func checkAttentionBackward(
    _ cotangent: Tensor, _ q: Tensor, _ k: Tensor, _ v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, _ gradients: AttentionGradients
  ) throws {
    let outputs = [gradients.q, gradients.k, gradients.v] + (gradients.table.map { [$0] } ?? [])
    let inputs: [Tensor?] = [cotangent, q, k, v, result.output, result.logSumExp, attributes.bias.tensor]
    try check(
      .attentionBackward, inputs: inputs, outputs: outputs,
      bounds: { side in
        let range = try scoreRange(side, q, k, attributes, layout)
        let units = Self.scoreUnits(range, keys: layout.keyCount, rounded: attributes.mayRoundOperands)
        let valueWidth = max(1, v.columnCount / attributes.keyValueHeads)
        let change =
          try 2 * side.largestNorm(cotangent, width: valueWidth) * side.largestNorm(v, width: valueWidth)
        let scale = Double(abs(attributes.scale))
        // A key's gradient is a sum over all queries that see it, in every head that shares it.
        let readers = Double(layout.queryCount * attributes.heads / attributes.keyValueHeads).squareRoot()
        let bounds: [RoundingBound] = [
          .absolute(units, of: change * scale * (try side.largest(k))),
          .absolute(units * readers, of: change * scale * (try side.largest(q))),
          .absolute(units * readers, of: try side.largest(cotangent)),
          .absolute(units * readers * Double(layout.keyCount).squareRoot(), of: change),
        ]
        return Array(bounds.prefix(outputs.count))
      }
    ) { side in
      try side.backend.attentionBackward(
        side[cotangent], q: side[q], k: side[k], v: side[v],
        AttentionResult(output: side[result.output], logSumExp: side[result.logSumExp]), layout,
        attributes.on(side),
        into: AttentionGradients(
          q: side[gradients.q], k: side[gradients.k], v: side[gradients.v], table: side[gradients.table]))
    }
  }

  /// The largest score that there can be.
  private func scoreRange(
    _ side: CheckedSide, _ q: Tensor, _ k: Tensor, _ attributes: AttentionAttributes, _ layout: AttentionLayout
  ) throws -> Double {
    let width = max(1, q.columnCount / attributes.heads)
    let products = try side.largestNorm(q, width: width) * side.largestNorm(k, width: width)
    let bias: Double =
      switch attributes.bias {
      case .none: 0
      case .alibi(let slopes): try side.largest(slopes) * Double(layout.keyCount)
      case .relative(let table, _, _): try side.largest(table)
      }
    return Double(abs(attributes.scale)) * products + bias
  }

  /// An error in a score is a relative error of its exponential.
  static func scoreUnits(_ range: Double, keys: Int, rounded: Bool = false) -> Double {
    let rounding = rounded ? 4 * (1 + range) * OperandRounding.unit / Tracked.unit : 0
    return RoundingBound.growth(keys) + 16 * range + rounding
  }
}

extension CheckedSide {
  /// The Euclidean norm of a whole tensor.
  func norm(_ tensor: Tensor) throws -> Double { try largestNorm(tensor, width: tensor.count) }
}

extension AttentionBias {
  var tensor: Tensor? {
    switch self {
    case .none: nil
    case .alibi(let slopes): slopes
    case .relative(let table, _, _): table
    }
  }
}

extension AttentionAttributes {
  fileprivate func on(_ side: CheckedSide) -> AttentionAttributes {
    var copy = self
    switch bias {
    case .none: break
    case .alibi(let slopes): copy.bias = .alibi(slopes: side[slopes])
    case .relative(let table, let bidirectional, let maximumDistance):
      copy.bias = .relative(table: side[table], bidirectional: bidirectional, maximumDistance: maximumDistance)
    }
    return copy
  }
}
