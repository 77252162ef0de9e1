import Compute

extension OpenCLBackend {
  private static let file = "elementwise.cl"

  // MARK: - Sums and products

  public func add(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    try combine("add", a, b, output)
  }

  public func multiply(_ a: Tensor, _ b: Tensor, into output: Tensor) throws {
    try combine("multiply", a, b, output)
  }

  private func combine(_ kernel: String, _ a: Tensor, _ b: Tensor, _ output: Tensor) throws {
    if a.shape == b.shape {
      try runBlocks(Self.file, kernel, count: a.count, [.tensor(a), .tensor(b), .tensor(output)])
    } else {
      try runRows(
        Self.file, kernel + "_row", rows: a.rowCount,
        [.tensor(a), .tensor(b), .tensor(output), .size(a.rowCount), .int(a.columnCount)])
    }
  }

  public func scale(_ x: Tensor, by factor: Float, into output: Tensor) throws {
    try runBlocks(Self.file, "scale", count: x.count, [.tensor(x), .float(factor), .tensor(output)])
  }

  public func addScaled(_ x: Tensor, by factor: Float, onto accumulator: Tensor) throws {
    try runBlocks(Self.file, "add_scaled", count: x.count, [.tensor(x), .float(factor), .tensor(accumulator)])
  }

  public func scaleRows(_ x: Tensor, by factors: Tensor, into output: Tensor) throws {
    try runRows(
      Self.file, "scale_rows", rows: x.rowCount,
      [.tensor(x), .tensor(factors), .tensor(output), .size(x.rowCount), .int(x.columnCount)])
  }

  // MARK: - Activations

  public func activation(_ kind: Activation, _ x: Tensor, into output: Tensor) throws {
    try runBlocks(Self.file, "activation", count: x.count, [.int(kind.number), .tensor(x), .tensor(output)])
  }

  public func activationBackward(_ kind: Activation, _ cotangent: Tensor, x: Tensor, into output: Tensor) throws {
    try runBlocks(
      Self.file, "activation_backward", count: x.count,
      [.int(kind.number), .tensor(cotangent), .tensor(x), .tensor(output)])
  }

  public func gated(_ kind: Activation, gate: Tensor, up: Tensor, into output: Tensor) throws {
    try runBlocks(
      Self.file, "gated", count: gate.count, [.int(kind.number), .tensor(gate), .tensor(up), .tensor(output)])
  }

  public func gatedBackward(
    _ kind: Activation, _ cotangent: Tensor, gate: Tensor, up: Tensor, gateGradient: Tensor, upGradient: Tensor
  ) throws {
    try runBlocks(
      Self.file, "gated_backward", count: gate.count,
      [
        .int(kind.number), .tensor(cotangent), .tensor(gate), .tensor(up), .tensor(gateGradient),
        .tensor(upGradient),
      ])
  }

  // MARK: - Dropout

  public func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64, into output: Tensor) throws {
    try runBlocks(
      Self.file, "dropout", count: x.count,
      [
        .tensor(x), .float(probability), .float(1 / (1 - probability)), .bits(seed), .bits(stream), .tensor(output),
      ])
  }

  // MARK: - Functions of the device

  public func builtin(_ function: Builtin, _ operands: [Tensor], scalar: Bool, into output: Tensor) throws {
    // A function takes up to three operands; the others are not looked at.
    let padded = (0..<3).map { operands[min($0, operands.count - 1)] }
    try runBlocks(
      "builtins.cl", scalar ? "builtin_scalar" : "builtin", count: output.count,
      [.int(function.number)] + padded.map { .tensor($0) } + [.tensor(output)])
  }
}

extension Builtin {
  /// The number of a function in builtins.cl.
  var number: Int {
    switch self {
    case .exp: 0
    case .log: 1
    case .tanh: 2
    case .erf: 3
    case .erfc: 4
    case .rsqrt: 5
    case .sqrt: 6
    case .sin: 7
    case .cos: 8
    case .divide: 9
    case .pow: 10
    case .fma: 11
    case .exponential: 12
    }
  }
}

extension Activation {
  /// The number of an activation in functions.cl; 0 is none.
  var number: Int {
    switch self {
    case .relu: 1
    case .silu: 2
    case .gelu: 3
    case .geluTanh: 4
    case .tanh: 5
    }
  }
}
