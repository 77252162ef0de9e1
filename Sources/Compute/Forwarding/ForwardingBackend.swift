/// A backend that hands every call to another one, for subclasses that watch or change something on the way.
///
/// Kernels with tensor results pass through `perform`, reductions to the host through `reduce`.
open class ForwardingBackend: ComputeBackend {
  public let base: any ComputeBackend

  public init(_ base: any ComputeBackend) { self.base = base }

  /// Runs one kernel.
  ///
  /// - Parameters:
  ///   - inputs: the tensors that it reads, those among its outputs that it adds to included.
  ///   - outputs: the tensors that it writes.
  open func perform(_ kernel: Kernel, inputs: [Tensor?], outputs: [Tensor], _ body: () throws -> Void) throws {
    try body()
  }

  /// Runs one reduction of a tensor to a number.
  open func reduce(_ kernel: Kernel, _ input: Tensor, _ body: () throws -> Double) throws -> Double { try body() }

  // MARK: Memory

  open var device: DeviceDescription { base.device }
  open var memory: MemoryUsage { base.memory }

  open func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor { try base.allocate(shape, dtype) }
  open func borrow(_ range: Range<Int>, of memory: any HostMemory, _ shape: Shape, _ dtype: DType) throws -> Tensor? {
    try base.borrow(range, of: memory, shape, dtype)
  }
  open func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws { try base.write(bytes, to: tensor) }
  open func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    try base.read(tensor, into: bytes)
  }
  open func owns(_ tensor: Tensor) -> Bool { base.owns(tensor) }
  open func driverObjects() throws -> [String: Int] { try base.driverObjects() }
  open func synchronize() throws { try base.synchronize() }
  open func recordCommands(in profile: Profile) throws -> Bool { try base.recordCommands(in: profile) }
  open func multiplyAdds(_ arithmetic: PeakArithmetic, rounds: Int) throws -> Double? {
    try base.multiplyAdds(arithmetic, rounds: rounds)
  }

  open func fill(_ tensor: Tensor, with value: Float) throws {
    try perform(.fill, inputs: [], outputs: [tensor]) { try base.fill(tensor, with: value) }
  }
  open func copy(_ source: Tensor, to destination: Tensor) throws {
    try perform(.copy, inputs: [source], outputs: [destination]) { try base.copy(source, to: destination) }
  }

  // MARK: Products and softmax

  open func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    try perform(.matmul, inputs: [a, b, bias, addend], outputs: [output]) {
      try base.matmul(problem, a, b, bias: bias, addend: addend, into: output)
    }
  }

  open func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws {
    try perform(.softmax, inputs: [x, mask], outputs: [output]) {
      try base.softmax(x, mask: mask, scale: scale, into: output)
    }
  }
  open func softmaxBackward(_ cotangent: Tensor, y: Tensor, scale: Float, into output: Tensor) throws {
    try perform(.softmaxBackward, inputs: [cotangent, y], outputs: [output]) {
      try base.softmaxBackward(cotangent, y: y, scale: scale, into: output)
    }
  }

  open func crossEntropy(
    _ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor
  ) throws {
    try perform(.crossEntropy, inputs: [logits, labels.tensor], outputs: [losses, logSumExp]) {
      try base.crossEntropy(logits, labels, ignoreIndex: ignoreIndex, losses: losses, logSumExp: logSumExp)
    }
  }
  open func crossEntropyBackward(
    _ cotangent: Tensor, logits: Tensor, _ labels: Indices, ignoreIndex: Int32, logSumExp: Tensor, into output: Tensor
  ) throws {
    try perform(.crossEntropyBackward, inputs: [cotangent, logits, labels.tensor, logSumExp], outputs: [output]) {
      try base.crossEntropyBackward(
        cotangent, logits: logits, labels, ignoreIndex: ignoreIndex, logSumExp: logSumExp, into: output)
    }
  }

  open func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes, into output: Tensor,
    logSumExp: Tensor
  ) throws {
    try perform(.attention, inputs: [q, k, v], outputs: [output, logSumExp]) {
      try base.attention(q: q, k: k, v: v, layout, attributes, into: output, logSumExp: logSumExp)
    }
  }
  open func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    let outputs = [gradients.q, gradients.k, gradients.v] + (gradients.table.map { [$0] } ?? [])
    try perform(.attentionBackward, inputs: [cotangent, q, k, v, result.output, result.logSumExp], outputs: outputs) {
      try base.attentionBackward(cotangent, q: q, k: k, v: v, result, layout, attributes, into: gradients)
    }
  }

  // MARK: Normalisation

  open func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor
  ) throws {
    try perform(.layerNorm, inputs: [x, weight, bias], outputs: [output, mean, rstd]) {
      try base.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, into: output, mean: mean, rstd: rstd)
    }
  }
  open func layerNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, into output: Tensor
  ) throws {
    try perform(.layerNormBackward, inputs: [cotangent, x, weight, mean, rstd], outputs: [output]) {
      try base.layerNormBackward(cotangent, x: x, weight: weight, mean: mean, rstd: rstd, into: output)
    }
  }
  open func layerNormBackwardParameters(
    _ cotangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor?
  ) throws {
    try perform(
      .layerNormBackwardParameters, inputs: [cotangent, x, mean, rstd], outputs: [weight] + (bias.map { [$0] } ?? [])
    ) {
      try base.layerNormBackwardParameters(cotangent, x: x, mean: mean, rstd: rstd, weight: weight, bias: bias)
    }
  }
  open func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, into output: Tensor, rstd: Tensor) throws {
    try perform(.rmsNorm, inputs: [x, weight], outputs: [output, rstd]) {
      try base.rmsNorm(x, weight: weight, epsilon: epsilon, into: output, rstd: rstd)
    }
  }
  open func rmsNormBackward(_ cotangent: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, into output: Tensor) throws {
    try perform(.rmsNormBackward, inputs: [cotangent, x, weight, rstd], outputs: [output]) {
      try base.rmsNormBackward(cotangent, x: x, weight: weight, rstd: rstd, into: output)
    }
  }
  open func rmsNormBackwardWeight(_ cotangent: Tensor, x: Tensor, rstd: Tensor, into output: Tensor) throws {
    try perform(.rmsNormBackwardWeight, inputs: [cotangent, x, rstd], outputs: [output]) {
      try base.rmsNormBackwardWeight(cotangent, x: x, rstd: rstd, into: output)
    }
  }

  // MARK: Elementwise

  open func activation(_ kind: Activation, _ x: Tensor, into output: Tensor) throws {
    try perform(.activation, inputs: [x], outputs: [output]) { try base.activation(kind, x, into: output) }
  }
  open func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor, into output: Tensor) throws {
    try perform(.activationBackward, inputs: [cotangent, x], outputs: [output]) {
      try base.activationBackward(kind, cotangent, x: x, into: output)
    }
  }
  open func gated(_ kind: Activation, gate: Tensor, up: Tensor, into output: Tensor) throws {
    try perform(.gated, inputs: [gate, up], outputs: [output]) {
      try base.gated(kind, gate: gate, up: up, into: output)
    }
  }
  open func gatedBackward(
    _ kind: Activation, _ cotangent: Tensor, gate: Tensor, up: Tensor, gateGradient: Tensor, upGradient: Tensor
  ) throws {
    try perform(.gatedBackward, inputs: [cotangent, gate, up], outputs: [gateGradient, upGradient]) {
      try base.gatedBackward(
        kind, cotangent, gate: gate, up: up, gateGradient: gateGradient, upGradient: upGradient)
    }
  }
  open func add(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    try perform(.add, inputs: [a, b], outputs: [output]) { try base.add(a, b, into: output) }
  }
  open func multiply(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    try perform(.multiply, inputs: [a, b], outputs: [output]) { try base.multiply(a, b, into: output) }
  }
  open func scale(_ x: Tensor, by factor: Float, into output: Tensor) throws {
    try perform(.scale, inputs: [x], outputs: [output]) { try base.scale(x, by: factor, into: output) }
  }
  open func addScaled(_ x: Tensor, by factor: Float, onto accumulator: Tensor) throws {
    try perform(.addScaled, inputs: [x, accumulator], outputs: [accumulator]) {
      try base.addScaled(x, by: factor, onto: accumulator)
    }
  }
  open func scaleRows(_ x: Tensor, by factors: Tensor, into output: Tensor) throws {
    try perform(.scaleRows, inputs: [x, factors], outputs: [output]) {
      try base.scaleRows(x, by: factors, into: output)
    }
  }
  open func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64, into output: Tensor) throws {
    try perform(.dropout, inputs: [x], outputs: [output]) {
      try base.dropout(x, probability: probability, seed: seed, stream: stream, into: output)
    }
  }
  open func builtin(_ function: Builtin, _ operands: [Tensor], scalar: Bool, into output: Tensor) throws {
    try perform(.builtin, inputs: operands, outputs: [output]) {
      try base.builtin(function, operands, scalar: scalar, into: output)
    }
  }
  open func rotary(_ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes, into output: Tensor) throws {
    try perform(.rotary, inputs: [x, positions.tensor], outputs: [output]) {
      try base.rotary(x, positions, attributes, into: output)
    }
  }

  // MARK: Rows

  open func gatherRows(_ table: Tensor, _ indices: Indices, into output: Tensor) throws {
    try perform(.gatherRows, inputs: [table, indices.tensor], outputs: [output]) {
      try base.gatherRows(table, indices, into: output)
    }
  }
  open func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws {
    try perform(.scatterAddRows, inputs: [updates, indices.tensor, accumulator], outputs: [accumulator]) {
      try base.scatterAddRows(updates, indices, onto: accumulator)
    }
  }
  open func scatterRows(_ source: Tensor, _ indices: Indices, into destination: Tensor) throws {
    try perform(.scatterRows, inputs: [source, indices.tensor], outputs: [destination]) {
      try base.scatterRows(source, indices, into: destination)
    }
  }
  open func copyColumns(_ source: Tensor, from: Int, to: Int, width: Int, of destination: Tensor) throws {
    try perform(.copyColumns, inputs: [source], outputs: [destination]) {
      try base.copyColumns(source, from: from, to: to, width: width, of: destination)
    }
  }
  open func columnSums(_ x: Tensor, into output: Tensor) throws {
    try perform(.columnSums, inputs: [x], outputs: [output]) { try base.columnSums(x, into: output) }
  }
  open func argmaxRows(_ x: Tensor, into output: Tensor) throws {
    try perform(.argmaxRows, inputs: [x], outputs: [output]) { try base.argmaxRows(x, into: output) }
  }

  // MARK: Optimizers

  open func adamW(
    _ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor
  ) throws {
    try perform(
      .adamW, inputs: [parameter, gradient, firstMoment, secondMoment], outputs: [parameter, firstMoment, secondMoment]
    ) {
      try base.adamW(
        step, parameter: parameter, gradient: gradient, firstMoment: firstMoment, secondMoment: secondMoment)
    }
  }
  open func adafactor(_ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments) throws {
    let written =
      switch moments {
      case .factored(let rows, let columns): [rows, columns]
      case .full(let all): [all]
      }
    try perform(.adafactor, inputs: [parameter, gradient] + written, outputs: [parameter] + written) {
      try base.adafactor(step, parameter: parameter, gradient: gradient, moments: moments)
    }
  }
  open func sgd(
    learningRate: Float, momentum: Float, weightDecay: Float, parameter: Tensor, gradient: Tensor, velocity: Tensor?
  ) throws {
    try perform(.sgd, inputs: [parameter, gradient, velocity], outputs: [parameter] + (velocity.map { [$0] } ?? [])) {
      try base.sgd(
        learningRate: learningRate, momentum: momentum, weightDecay: weightDecay, parameter: parameter,
        gradient: gradient, velocity: velocity)
    }
  }

  // MARK: Reductions

  open func sumOfSquares(_ x: Tensor) throws -> Double { try reduce(.sumOfSquares, x) { try base.sumOfSquares(x) } }
  open func sum(_ x: Tensor) throws -> Double { try reduce(.sum, x) { try base.sum(x) } }
  open func firstNonFinite(_ x: Tensor) throws -> Int? {
    let place = try reduce(.firstNonFinite, x) { Double(try base.firstNonFinite(x) ?? -1) }
    return place < 0 ? nil : Int(place)
  }
}
