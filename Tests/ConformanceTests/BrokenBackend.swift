import Compute
import Conformance

/// What a broken backend does to the results of one kernel.
enum Fault: String, CaseIterable {
  /// Every element is 0.
  case zeros
  /// The last element stays as it was.
  case dropsLast
  /// Every element lands sixteen places on, or one place where there are fewer.
  case offByOneTile
  /// Results have twelve bits of precision, a little more than half precision.
  case imprecise
  /// One element behind the output is written, too.
  case writesBehind
  /// One element in front of the output is written, too.
  case writesBefore
  /// Every call gives other bits in the last places than the one before.
  case unsteady
}

/// A backend that is right but for one kernel.
final class BrokenBackend: ForwardingBackend {
  private let kernel: Kernel
  private let fault: Fault
  /// Which of the kernel's outputs.
  private let place: Int
  private var calls = 0

  init(_ base: any ComputeBackend, _ kernel: Kernel, _ fault: Fault, output place: Int) {
    (self.kernel, self.fault, self.place) = (kernel, fault, place)
    super.init(base)
  }

  /// To nearest with twelve bits of significand.
  private static func rounded(_ value: Float) -> Float {
    value.isFinite ? Float(bitPattern: (value.bitPattern + 0x800) & 0xFFFF_F000) : value
  }

  override func perform(
    _ kernel: Kernel, inputs: [Tensor?], outputs: [Tensor], _ body: () throws -> Void
  ) throws {
    guard kernel == self.kernel, outputs.indices.contains(place), !outputs[place].isEmpty else { return try body() }
    let output = outputs[place]
    let before = try bytes(of: output)
    try body()
    calls += 1
    var after = try bytes(of: output)
    let size = output.dtype.byteCount
    switch fault {
    case .zeros: after = [UInt8](repeating: 0, count: after.count)
    case .dropsLast: after.replaceSubrange(after.count - size..<after.count, with: before.suffix(size))
    case .offByOneTile:
      let shift = (output.count > 16 ? 16 : 1) * size
      after = after.suffix(shift) + after.dropLast(shift)
    case .imprecise:
      guard output.dtype == .f32 else { return }
      let values = try base.values(output).map(Self.rounded)
      after = values.withUnsafeBytes { Array($0) }
    case .unsteady:
      guard output.dtype == .f32 else { return }
      let values = try base.values(output).map { value in (0..<calls).reduce(value) { moved, _ in moved.nextUp } }
      after = values.withUnsafeBytes { Array($0) }
    case .writesBehind, .writesBefore:
      let outside = fault == .writesBehind ? output.offset + output.count : output.offset - 1
      guard outside >= 0, (outside + 1) * size <= output.storage.byteCount else { return }
      let stray = Tensor(storage: output.storage, offset: outside, shape: [1], dtype: output.dtype)
      try after.prefix(size).withUnsafeBytes { try base.write($0, to: stray) }
    }
    try after.withUnsafeBytes { try base.write($0, to: output) }
  }

  override func reduce(_ kernel: Kernel, _ input: Tensor, _ body: () throws -> Double) throws -> Double {
    guard kernel == self.kernel, place == 0 else { return try body() }
    calls += 1
    let value = try body()
    switch fault {
    case .zeros: return 0
    case .imprecise: return Double(Self.rounded(Float(value)))
    case .unsteady: return (0..<calls).reduce(value) { moved, _ in moved.nextUp }
    case .dropsLast, .offByOneTile: return value - 1
    case .writesBehind, .writesBefore: return value
    }
  }

  private func bytes(of tensor: Tensor) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: tensor.byteCount)
    try bytes.withUnsafeMutableBytes { try base.read(tensor, into: $0) }
    return bytes
  }
}

/// A backend that overlooks one argument.
final class ForgetfulBackend: ForwardingBackend {
  enum Forgotten: String, CaseIterable {
    case mask, softmaxScale, causality, window, bias, sharedKeys, attentionScale
    case productBias, alpha, beta, productActivation, rounding
    case epsilon, layerBias, weightDecay, stepCount, interleaving, magnitude, probability, repeatedRows, clipping
  }

  private let forgotten: Forgotten

  init(_ base: any ComputeBackend, _ forgotten: Forgotten) {
    self.forgotten = forgotten
    super.init(base)
  }

  override func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws {
    try base.softmax(
      x, mask: forgotten == .mask ? nil : mask, scale: forgotten == .softmaxScale ? 1 : scale, into: output)
  }

  override func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes, into output: Tensor,
    logSumExp: Tensor
  ) throws {
    let (layout, attributes) = try spoiled(layout, attributes)
    try base.attention(q: q, k: k, v: v, layout, attributes, into: output, logSumExp: logSumExp)
  }

  private func spoiled(_ layout: AttentionLayout, _ attributes: AttentionAttributes) throws
    -> (AttentionLayout, AttentionAttributes)
  {
    var (segments, attributes) = (layout.segments, attributes)
    for index in segments.indices {
      if forgotten == .causality { segments[index].causal = false }
      if forgotten == .sharedKeys { segments[index].shared = [] }
    }
    if forgotten == .window { attributes.window = nil }
    if forgotten == .bias { attributes.bias = .none }
    if forgotten == .attentionScale { attributes.scale = 1 }
    let spoiled = try AttentionLayout(segments: segments, queryCount: layout.queryCount, keyCount: layout.keyCount)
    return (spoiled, attributes)
  }

  override func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    var problem = problem
    if forgotten == .alpha { problem.alpha = 1 }
    if forgotten == .beta { problem.beta = 1 }
    if forgotten == .productActivation { problem.activation = nil }
    if forgotten == .rounding { problem.roundsOperands = false }
    try base.matmul(
      problem, a, b, bias: forgotten == .productBias ? nil : bias, addend: addend, into: output)
  }

  override func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor
  ) throws {
    try base.layerNorm(
      x, weight: weight, bias: forgotten == .layerBias ? nil : bias, epsilon: forgotten == .epsilon ? 1e-5 : epsilon,
      into: output, mean: mean, rstd: rstd)
  }

  override func adamW(
    _ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor
  ) throws {
    var step = step
    if forgotten == .weightDecay { step.weightDecay = 0 }
    if forgotten == .stepCount { step.step = 1 }
    try base.adamW(
      step, parameter: parameter, gradient: gradient, firstMoment: firstMoment, secondMoment: secondMoment)
  }

  override func adafactor(_ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments) throws
  {
    var step = step
    if forgotten == .clipping { step.clipThreshold = .infinity }
    try base.adafactor(step, parameter: parameter, gradient: gradient, moments: moments)
  }

  override func rotary(_ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes, into output: Tensor) throws {
    var attributes = attributes
    if forgotten == .interleaving { attributes.interleaved = false }
    if forgotten == .magnitude { attributes.magnitude = 1 }
    try base.rotary(x, positions, attributes, into: output)
  }

  override func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64, into output: Tensor) throws {
    let probability = forgotten == .probability ? 0.5 : probability
    try base.dropout(x, probability: probability, seed: seed, stream: stream, into: output)
  }

  override func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws {
    guard forgotten == .repeatedRows, updates.shape[0] > 0 else {
      return try base.scatterAddRows(updates, indices, onto: accumulator)
    }
    var seen: Set<Int32> = []
    for (row, index) in indices.values.enumerated() where seen.insert(index).inserted {
      try base.scatterAddRows(try updates.rows(row..<row + 1), try base.indices([index]), onto: accumulator)
    }
  }
}
