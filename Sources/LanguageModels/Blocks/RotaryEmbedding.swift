import Autodiff
import Compute

/// Rotary position embedding of queries and keys (Su et al., 2021), pairs in halves.
struct RotaryEmbedding {
  /// Angle per position of each pair, `[rotated columns / 2]`.
  let inverseFrequencies: Tensor
  /// A factor on cosine and sine.
  let magnitude: Float

  init(_ frequencies: RotaryFrequencies, on backend: any ComputeBackend) throws {
    inverseFrequencies = try backend.tensor(frequencies.inverse.map { Float($0) }, [frequencies.inverse.count])
    magnitude = Float(frequencies.magnitude)
  }

  /// Heads side by side, `[rows, heads width]`; the same shape.
  func callAsFunction(_ x: Variable, _ positions: Indices, heads: Int, on tape: Tape) throws -> Variable {
    try tape.rotary(
      x, positions,
      RotaryAttributes(heads: heads, inverseFrequencies: inverseFrequencies, magnitude: magnitude))
  }
}
