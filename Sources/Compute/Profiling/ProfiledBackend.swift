/// A backend that tells a profile what it is asked for, and how long it takes.
///
/// It does not make a device wait: where commands run behind the caller's back, the backend itself notes when each ran,
/// and this one says on whose behalf. `finishProfile` has to be called before the profile is read.
public final class ProfiledBackend: ForwardingBackend {
  public let profile: Profile
  /// Calls are timed by the host's clock, because the backend has finished when they return.
  private let timesCalls: Bool
  /// Floating-point operations of the call that is about to be performed, where they are known.
  private var flops = 0.0

  /// - Throws: what the device fails with when it is asked to note its commands.
  public init(_ base: any ComputeBackend, profile: Profile) throws {
    self.profile = profile
    timesCalls = try !base.recordCommands(in: profile)
    super.init(base)
  }

  /// A backend whose calls are counted and not timed.
  public init(counting base: any ComputeBackend, in profile: Profile) {
    self.profile = profile
    timesCalls = false
    super.init(base)
  }

  /// Waits until every command is noted.
  public func finishProfile() throws { try base.synchronize() }

  // MARK: - What is noted

  private func note<Result>(_ operation: String, _ work: Work, _ body: () throws -> Result) rethrows -> Result {
    guard profile.isOn else { return try body() }
    profile.count(operation, work)
    profile.operation = operation
    defer { profile.operation = Profile.outside }
    guard timesCalls else { return try body() }
    let start = profile.now
    let result = try body()
    profile.add(Profile.Command(name: operation, operation: operation, start: start, end: profile.now))
    return result
  }

  public override func perform(
    _ kernel: Kernel, inputs: [Tensor?], outputs: [Tensor], _ body: () throws -> Void
  ) throws {
    let work = Work(flops: flops, bytes: bytes(kernel, inputs: inputs, outputs: outputs))
    flops = 0
    try note(kernel.rawValue, work, body)
  }

  public override func reduce(_ kernel: Kernel, _ input: Tensor, _ body: () throws -> Double) throws -> Double {
    try note(kernel.rawValue, Work(bytes: Double(input.byteCount)), body)
  }

  public override func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    try note("write", Work(bytes: Double(bytes.count))) { try base.write(bytes, to: tensor) }
  }

  public override func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    try note("read", Work(bytes: Double(bytes.count))) { try base.read(tensor, into: bytes) }
  }

  /// The bytes of all operands, or of the part of them that is touched.
  private func bytes(_ kernel: Kernel, inputs: [Tensor?], outputs: [Tensor]) -> Double {
    let read = inputs.map { $0?.byteCount ?? 0 }
    let written = outputs.map(\.byteCount)
    let touched =
      switch kernel {
      // Rows of the table that are asked for, and no others.
      case .gatherRows: 2 * written[0] + read[1]
      case .scatterAddRows: 3 * read[0] + read[1]
      case .scatterRows: 2 * read[0] + read[1]
      // One of the two is as narrow as what is copied.
      case .copyColumns: 2 * min(read[0], written[0])
      default: read.reduce(0, +) + written.reduce(0, +)
      }
    return Double(touched)
  }

  // MARK: - Operations with known arithmetic

  public override func matmul(
    _ problem: MatmulProblem, _ a: Tensor, _ b: Tensor, bias: Tensor?, addend: Tensor?, into output: Tensor
  ) throws {
    flops = 2 * Double(problem.batch * problem.m) * Double(problem.n * problem.k)
    try super.matmul(problem, a, b, bias: bias, addend: addend, into: output)
  }

  public override func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes, into output: Tensor,
    logSumExp: Tensor
  ) throws {
    let (width, valueWidth) = Self.columns(q, output)
    flops = 2 * pairs(layout, attributes) * (width + valueWidth)
    try super.attention(q: q, k: k, v: v, layout, attributes, into: output, logSumExp: logSumExp)
  }

  /// The scores again, and two products for each of them: the gradients of scores and values, of queries and keys.
  public override func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    let (width, valueWidth) = Self.columns(q, result.output)
    flops = 2 * pairs(layout, attributes) * (3 * width + 2 * valueWidth)
    try super.attentionBackward(cotangent, q: q, k: k, v: v, result, layout, attributes, into: gradients)
  }

  /// The columns of all heads together.
  private static func columns(_ q: Tensor, _ output: Tensor) -> (Double, Double) {
    (Double(q.columnCount), Double(output.columnCount))
  }

  private func pairs(_ layout: AttentionLayout, _ attributes: AttentionAttributes) -> Double {
    profile.isOn ? Double(layout.visiblePairs(window: attributes.window)) : 0
  }
}
