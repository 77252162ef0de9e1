/// Rotary position embedding.
public protocol RotaryKernels: AnyObject {
  /// Rotates pairs of columns of each head by `positions[t] inverseFrequencies[i]`.
  ///
  /// See `ComputeBackend.rotary`. `output` may be `x` itself.
  func rotary(_ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes, into output: Tensor) throws
}

/// How heads are rotated.
public struct RotaryAttributes {
  /// Heads side by side in a row.
  public var heads: Int
  /// Angle per position of each pair, `[rotaryDimensions / 2]`, f32; scalings of the frequencies are already in it.
  public var inverseFrequencies: Tensor
  /// Pairs are neighbours (2i, 2i + 1); otherwise (i, i + rotaryDimensions / 2).
  public var interleaved: Bool
  /// A factor on cosine and sine.
  public var magnitude: Float
  /// Rotate backwards: the transposed map, which is the gradient.
  public var inverse: Bool

  public init(
    heads: Int, inverseFrequencies: Tensor, interleaved: Bool = false, magnitude: Float = 1, inverse: Bool = false
  ) {
    self.heads = heads
    self.inverseFrequencies = inverseFrequencies
    self.interleaved = interleaved
    self.magnitude = magnitude
    self.inverse = inverse
  }

  /// How many leading columns of each head are rotated; the others are copied.
  public var rotaryDimensions: Int { 2 * inverseFrequencies.count }
}

extension ComputeBackend {
  /// Rotary position embedding (Su et al., 2021): a pair (a, b) becomes (a cos - b sin, a sin + b cos).
  ///
  /// - Parameters:
  ///   - x: `[tokens, heads width]`.
  ///   - positions: one per token.
  public func rotary(_ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes) throws -> Tensor {
    try require(x, .f32, "rotary", "X")
    try require(attributes.inverseFrequencies, .f32, "rotary", "the frequencies")
    guard x.shape.rank == 2, x.shape[0] == positions.count else {
      throw ComputeError.shapeMismatch(operation: "rotary", x.shape, positions.tensor.shape)
    }
    guard attributes.heads > 0, x.columnCount % attributes.heads == 0,
      attributes.rotaryDimensions <= x.columnCount / attributes.heads
    else {
      throw ComputeError.invalidArgument(
        operation: "rotary",
        "\(attributes.heads) heads with \(attributes.rotaryDimensions) rotated columns in \(x.columnCount)")
    }
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty { try rotary(x, positions, attributes, into: output) }
    return output
  }

  /// The gradient of `rotary` with respect to X.
  public func rotaryBackward(_ cotangent: Tensor, _ positions: Indices, _ attributes: RotaryAttributes) throws
    -> Tensor
  {
    var transposed = attributes
    transposed.inverse.toggle()
    return try rotary(cotangent, positions, transposed)
  }
}
