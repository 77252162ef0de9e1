import Foundation

/// Attention with linear biases (Press et al., 2022).
enum ALiBi {
  /// The slope of each head.
  ///
  /// For a power of two, n heads, they are the powers 1 to n of `2^(-8/n)`. Otherwise the slopes of the next smaller
  /// power m come first, and the remaining ones are the odd powers of `2^(-4/m)`.
  static func slopes(heads: Int) -> [Float] {
    var power = 1
    while power * 2 <= heads { power *= 2 }
    let first = (1...power).map { exp2(-8 * Double($0) / Double(power)) }
    let others = (0..<heads - power).map { exp2(-4 * Double(2 * $0 + 1) / Double(power)) }
    return (first + others).map { Float($0) }
  }
}
