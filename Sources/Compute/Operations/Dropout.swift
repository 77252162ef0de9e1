/// Dropout with Philox numbers.
public protocol DropoutKernels: AnyObject {
  /// `output[i] = x[i] / (1 - probability)` where the i-th uniform number of (seed, stream) is at least `probability`,
  /// else 0.
  ///
  /// The i-th number is `(word i % 4 of block i / 4) >> 8` times 2^-24, as `Philox.nextUniform` draws it. `output` may
  /// be `x` itself. The gradient is the same map.
  func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64, into output: Tensor) throws
}

extension ComputeBackend {
  /// Dropout (Srivastava et al., 2014).
  ///
  /// Applied to a cotangent with the same arguments it is its own gradient.
  ///
  /// - Throws: `ComputeError.invalidArgument` unless `0 <= probability < 1`.
  public func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64) throws -> Tensor {
    guard probability >= 0, probability < 1 else {
      throw ComputeError.invalidArgument(operation: "dropout", "probability \(probability) is outside 0..<1")
    }
    try require(x, .f32, "dropout", "X")
    let output = try allocate(x.shape, .f32)
    if !x.isEmpty { try dropout(x, probability: probability, seed: seed, stream: stream, into: output) }
    return output
  }
}
