import Compute

/// A backend that lets a second one repeat every kernel on the same inputs, and stops at the first disagreement.
///
/// What the first device computed goes into the next kernel of both, so that errors do not add up and the kernel that
/// is wrong is the one that is named. Slow: all inputs and results cross to the host.
public final class CheckedBackend: ForwardingBackend {
  public let reference: any ComputeBackend
  /// How many kernel calls were compared so far.
  public internal(set) var comparisons = 0
  /// Copies of frozen weights on the second device.
  var frozen: [ObjectIdentifier: (original: any Storage, copy: Tensor)] = [:]

  public init(_ base: any ComputeBackend, against reference: any ComputeBackend) {
    self.reference = reference
    super.init(base)
  }

  public override var device: DeviceDescription {
    var device = base.device
    device.name += " (every kernel compared with \(reference.device.id))"
    return device
  }

  public override func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    frozen[ObjectIdentifier(tensor.storage)] = nil
    try base.write(bytes, to: tensor)
  }

  // MARK: - Memory

  public override func fill(_ tensor: Tensor, with value: Float) throws {
    try check(.fill, inputs: [], outputs: [tensor], bounds: { _ in [.exact] }) { side in
      try side.backend.fill(side[tensor], with: value)
    }
  }

  public override func copy(_ source: Tensor, to destination: Tensor) throws {
    try check(.copy, inputs: [source], outputs: [destination], bounds: { _ in [.exact] }) { side in
      try side.backend.copy(side[source], to: side[destination])
    }
  }

  // MARK: - Products and attention

  public override func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    try checkMatmul(problem, a, b, bias: bias, addend: addend, output)
  }

  public override func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes, into output: Tensor,
    logSumExp: Tensor
  ) throws {
    try checkAttention(q, k, v, layout, attributes, output, logSumExp)
  }

  public override func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    try checkAttentionBackward(cotangent, q, k, v, result, layout, attributes, gradients)
  }

  // MARK: - Softmax and losses

  public override func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws {
    try check(
      .softmax, inputs: [x, mask], outputs: [output],
      bounds: { side in
        let range = try Double(abs(scale)) * side.largest(x)
        return [.relative(Self.scoreUnits(range, keys: x.columnCount))]
      }
    ) { side in
      try side.backend.softmax(side[x], mask: side[mask], scale: scale, into: side[output])
    }
  }

  public override func softmaxBackward(_ cotangent: Tensor, y: Tensor, scale: Float, into output: Tensor) throws {
    try check(
      .softmaxBackward, inputs: [cotangent, y], outputs: [output],
      bounds: { side in
        let largest = try Double(abs(scale)) * side.largest(cotangent) * side.largest(y)
        return [.absolute(RoundingBound.growth(y.columnCount), of: 2 * largest)]
      }
    ) { side in
      try side.backend.softmaxBackward(side[cotangent], y: side[y], scale: scale, into: side[output])
    }
  }

  public override func crossEntropy(
    _ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor
  ) throws {
    try check(
      .crossEntropy, inputs: [logits], outputs: [losses, logSumExp],
      bounds: { side in
        let magnitude = try 1 + side.largest(logits)
        let units = RoundingBound.growth(logits.columnCount)
        return [.absolute(units, of: magnitude), .absolute(units, of: magnitude)]
      }
    ) { side in
      try side.backend.crossEntropy(
        side[logits], try side.indices(labels), ignoreIndex: ignoreIndex, losses: side[losses],
        logSumExp: side[logSumExp])
    }
  }

  public override func crossEntropyBackward(
    _ cotangent: Tensor, logits: Tensor, _ labels: Indices, ignoreIndex: Int32, logSumExp: Tensor, into output: Tensor
  ) throws {
    try check(
      .crossEntropyBackward, inputs: [cotangent, logits, logSumExp], outputs: [output],
      bounds: { side in
        let range = try side.largest(logits) + side.largest(logSumExp)
        return [.absolute(Self.scoreUnits(range, keys: 1), of: try side.largest(cotangent))]
      }
    ) { side in
      try side.backend.crossEntropyBackward(
        side[cotangent], logits: side[logits], try side.indices(labels), ignoreIndex: ignoreIndex,
        logSumExp: side[logSumExp], into: side[output])
    }
  }

  // MARK: - Normalisation

  public override func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor
  ) throws {
    try check(
      .layerNorm, inputs: [x, weight, bias], outputs: [output, mean, rstd],
      bounds: { side in try normBounds(side, x, weight: weight, bias: bias, epsilon: epsilon, centred: true) }
    ) { side in
      try side.backend.layerNorm(
        side[x], weight: side[weight], bias: side[bias], epsilon: epsilon, into: side[output], mean: side[mean],
        rstd: side[rstd])
    }
  }

  public override func layerNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, into output: Tensor
  ) throws {
    try check(
      .layerNormBackward, inputs: [cotangent, x, weight, mean, rstd], outputs: [output],
      bounds: { side in try [normBackwardBound(side, cotangent, x, weight: weight, mean: mean, rstd: rstd)] }
    ) { side in
      try side.backend.layerNormBackward(
        side[cotangent], x: side[x], weight: side[weight], mean: side[mean], rstd: side[rstd], into: side[output])
    }
  }

  public override func layerNormBackwardParameters(
    _ cotangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor?
  ) throws {
    try check(
      .layerNormBackwardParameters, inputs: [cotangent, x, mean, rstd],
      outputs: [weight] + (bias.map { [$0] } ?? []),
      bounds: { side in try normParameterBounds(side, cotangent, x, mean: mean, rstd: rstd) }
    ) { side in
      try side.backend.layerNormBackwardParameters(
        side[cotangent], x: side[x], mean: side[mean], rstd: side[rstd], weight: side[weight], bias: side[bias])
    }
  }

  public override func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, into output: Tensor, rstd: Tensor) throws {
    try check(
      .rmsNorm, inputs: [x, weight], outputs: [output, rstd],
      bounds: { side in
        let bounds = try normBounds(side, x, weight: weight, bias: nil, epsilon: epsilon, centred: false)
        return [bounds[0], bounds[2]]
      }
    ) { side in
      try side.backend.rmsNorm(
        side[x], weight: side[weight], epsilon: epsilon, into: side[output], rstd: side[rstd])
    }
  }

  public override func rmsNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, into output: Tensor
  ) throws {
    try check(
      .rmsNormBackward, inputs: [cotangent, x, weight, rstd], outputs: [output],
      bounds: { side in try [normBackwardBound(side, cotangent, x, weight: weight, mean: nil, rstd: rstd)] }
    ) { side in
      try side.backend.rmsNormBackward(
        side[cotangent], x: side[x], weight: side[weight], rstd: side[rstd], into: side[output])
    }
  }

  public override func rmsNormBackwardWeight(_ cotangent: Tensor, x: Tensor, rstd: Tensor, into output: Tensor) throws {
    try check(
      .rmsNormBackwardWeight, inputs: [cotangent, x, rstd], outputs: [output],
      bounds: { side in try normParameterBounds(side, cotangent, x, mean: nil, rstd: rstd) }
    ) { side in
      try side.backend.rmsNormBackwardWeight(side[cotangent], x: side[x], rstd: side[rstd], into: side[output])
    }
  }

  // MARK: - Elementwise

  public override func activation(_ kind: Activation, _ x: Tensor, into output: Tensor) throws {
    try check(
      .activation, inputs: [x], outputs: [output], bounds: { side in [.absolute(64, of: try side.largest(x))] }
    ) { side in
      try side.backend.activation(kind, side[x], into: side[output])
    }
  }

  public override func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor, into output: Tensor)
    throws
  {
    try check(
      .activationBackward, inputs: [cotangent, x], outputs: [output],
      bounds: { side in [.absolute(64, of: try side.largest(cotangent) * (1 + side.largest(x)))] }
    ) { side in
      try side.backend.activationBackward(kind, side[cotangent], x: side[x], into: side[output])
    }
  }

  public override func gated(_ kind: Activation, gate: Tensor, up: Tensor, into output: Tensor) throws {
    try check(
      .gated, inputs: [gate, up], outputs: [output],
      bounds: { side in [.absolute(64, of: try side.largest(gate) * side.largest(up))] }
    ) { side in
      try side.backend.gated(kind, gate: side[gate], up: side[up], into: side[output])
    }
  }

  public override func gatedBackward(
    _ kind: Activation, _ cotangent: Tensor, gate: Tensor, up: Tensor, gateGradient: Tensor, upGradient: Tensor
  ) throws {
    try check(
      .gatedBackward, inputs: [cotangent, gate, up], outputs: [gateGradient, upGradient],
      bounds: { side in
        let (change, range) = (try side.largest(cotangent), try 1 + side.largest(gate))
        return [
          .absolute(64, of: change * range * (try side.largest(up))), .absolute(64, of: change * range),
        ]
      }
    ) { side in
      try side.backend.gatedBackward(
        kind, side[cotangent], gate: side[gate], up: side[up], gateGradient: side[gateGradient],
        upGradient: side[upGradient])
    }
  }

  public override func add(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    try check(
      .add, inputs: [a, b], outputs: [output], bounds: { _ in [.relative(2)] }
    ) { side in try side.backend.add(side[a], side[b], into: side[output]) }
  }

  public override func multiply(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    try check(
      .multiply, inputs: [a, b], outputs: [output], bounds: { _ in [.relative(2)] }
    ) { side in try side.backend.multiply(side[a], side[b], into: side[output]) }
  }

  public override func scale(_ x: Tensor, by factor: Float, into output: Tensor) throws {
    try check(
      .scale, inputs: [x], outputs: [output], bounds: { _ in [.relative(2)] }
    ) { side in try side.backend.scale(side[x], by: factor, into: side[output]) }
  }

  public override func addScaled(_ x: Tensor, by factor: Float, onto accumulator: Tensor) throws {
    try check(
      .addScaled, inputs: [x], outputs: [accumulator],
      bounds: { side in [.absolute(4, of: Double(abs(factor)) * (try side.largest(x)))] }
    ) { side in try side.backend.addScaled(side[x], by: factor, onto: side[accumulator]) }
  }

  public override func scaleRows(_ x: Tensor, by factors: Tensor, into output: Tensor) throws {
    try check(
      .scaleRows, inputs: [x, factors], outputs: [output], bounds: { _ in [.relative(2)] }
    ) { side in try side.backend.scaleRows(side[x], by: side[factors], into: side[output]) }
  }

  public override func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64, into output: Tensor)
    throws
  {
    try check(
      .dropout, inputs: [x], outputs: [output], bounds: { _ in [.relative(4)] }
    ) { side in
      try side.backend.dropout(
        side[x], probability: probability, seed: seed, stream: stream, into: side[output])
    }
  }

  public override func rotary(
    _ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes, into output: Tensor
  ) throws {
    try check(
      .rotary, inputs: [x, attributes.inverseFrequencies], outputs: [output],
      bounds: { side in
        // Both round the angle, which is as large as the last position.
        let angle = try Double(max(0, positions.maximum)) * side.largest(attributes.inverseFrequencies)
        let magnitude = Double(abs(attributes.magnitude))
        return [.absolute(32 + 4 * angle, of: magnitude * (try side.largest(x)))]
      }
    ) { side in
      var copy = attributes
      copy.inverseFrequencies = side[attributes.inverseFrequencies]
      try side.backend.rotary(side[x], try side.indices(positions), copy, into: side[output])
    }
  }

  // MARK: - Rows

  public override func gatherRows(_ table: Tensor, _ indices: Indices, into output: Tensor) throws {
    // A table of embeddings is large and seldom written to, so it is copied as a frozen weight is.
    try check(.gatherRows, inputs: [], outputs: [output], frozenInput: table, bounds: { _ in [.exact] }) { side in
      try side.backend.gatherRows(side[table], try side.indices(indices), into: side[output])
    }
  }

  public override func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws {
    try check(
      .scatterAddRows, inputs: [updates], outputs: [accumulator],
      bounds: { side in
        let terms = indices.count
        let magnitude = try side.largest(accumulator) + Double(terms) * side.largest(updates)
        return [.absolute(4, of: magnitude)]
      }
    ) { side in
      try side.backend.scatterAddRows(side[updates], try side.indices(indices), onto: side[accumulator])
    }
  }

  public override func scatterRows(_ source: Tensor, _ indices: Indices, into destination: Tensor) throws {
    try check(.scatterRows, inputs: [source], outputs: [destination], bounds: { _ in [.exact] }) { side in
      try side.backend.scatterRows(side[source], try side.indices(indices), into: side[destination])
    }
  }

  public override func copyColumns(_ source: Tensor, from: Int, to: Int, width: Int, of destination: Tensor) throws {
    try check(.copyColumns, inputs: [source], outputs: [destination], bounds: { _ in [.exact] }) { side in
      try side.backend.copyColumns(side[source], from: from, to: to, width: width, of: side[destination])
    }
  }

  public override func columnSums(_ x: Tensor, into output: Tensor) throws {
    try check(
      .columnSums, inputs: [x], outputs: [output],
      bounds: { side in
        [.absolute(RoundingBound.growth(x.rowCount), of: Double(x.rowCount) * (try side.largest(x)))]
      }
    ) { side in try side.backend.columnSums(side[x], into: side[output]) }
  }

  public override func argmaxRows(_ x: Tensor, into output: Tensor) throws {
    try check(.argmaxRows, inputs: [x], outputs: [output], bounds: { _ in [.exact] }) { side in
      try side.backend.argmaxRows(side[x], into: side[output])
    }
  }

  // MARK: - Optimizers

  public override func adamW(
    _ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor
  ) throws {
    try check(
      .adamW, inputs: [gradient], outputs: [parameter, firstMoment, secondMoment],
      bounds: { side in
        let (p, g, m) = (try side.largest(parameter), try side.largest(gradient), try side.largest(firstMoment))
        // An update is at most a few times the learning rate.
        return [
          .absolute(64, of: p + 8 * Double(abs(step.learningRate))), .absolute(8, of: m + g), .relative(16),
        ]
      }
    ) { side in
      try side.backend.adamW(
        step, parameter: side[parameter], gradient: side[gradient], firstMoment: side[firstMoment],
        secondMoment: side[secondMoment])
    }
  }

  public override func adafactor(
    _ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments
  ) throws {
    let states =
      switch moments {
      case .factored(let rows, let columns): [rows, columns]
      case .full(let all): [all]
      }
    let units = RoundingBound.growth(parameter.count)
    try check(
      .adafactor, inputs: [gradient], outputs: [parameter] + states,
      bounds: { side in
        let rate = Double(abs(step.learningRate)) * (step.scalesByParameter ? 1 + (try side.largest(parameter)) : 1)
        let update = rate * Double(step.clipThreshold.isFinite ? step.clipThreshold : 1)
        // A single element may take the whole update of a clipped tensor.
        let magnitude = try side.largest(parameter) + update * Double(max(1, parameter.count)).squareRoot()
        return [.absolute(units, of: magnitude)] + states.map { _ in .relative(units) }
      }
    ) { side in
      let copies: AdafactorMoments =
        switch moments {
        case .factored(let rows, let columns): .factored(rows: side[rows], columns: side[columns])
        case .full(let all): .full(side[all])
        }
      try side.backend.adafactor(step, parameter: side[parameter], gradient: side[gradient], moments: copies)
    }
  }

  public override func sgd(
    learningRate: Float, momentum: Float, weightDecay: Float, parameter: Tensor, gradient: Tensor, velocity: Tensor?
  ) throws {
    try check(
      .sgd, inputs: [gradient], outputs: [parameter] + (velocity.map { [$0] } ?? []),
      bounds: { side in
        let magnitude = try side.largest(parameter) + side.largest(gradient) + side.largest(velocity)
        return [.absolute(16, of: magnitude), .absolute(16, of: magnitude)]
      }
    ) { side in
      try side.backend.sgd(
        learningRate: learningRate, momentum: momentum, weightDecay: weightDecay, parameter: side[parameter],
        gradient: side[gradient], velocity: side[velocity])
    }
  }

  // MARK: - Reductions

  public override func sumOfSquares(_ x: Tensor) throws -> Double {
    try checkNumber(.sumOfSquares, x) {
      try $0.backend.sumOfSquares($0[x])
    } magnitude: { side in
      try side.floats(x).reduce(0) { $0 + $1 * $1 }
    }
  }

  public override func sum(_ x: Tensor) throws -> Double {
    try checkNumber(.sum, x) {
      try $0.backend.sum($0[x])
    } magnitude: { side in
      try side.floats(x).reduce(0) { $0 + abs($1) }
    }
  }

  public override func firstNonFinite(_ x: Tensor) throws -> Int? {
    let place = try checkNumber(.firstNonFinite, x) {
      Double(try $0.backend.firstNonFinite($0[x]) ?? -1)
    } magnitude: { _ in
      0
    }
    return place < 0 ? nil : Int(place)
  }
}
