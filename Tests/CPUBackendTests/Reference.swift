import Compute
import Foundation

/// Plain definitions in Double.
enum Reference {
  static func activation(_ kind: Activation, _ x: Double) -> Double {
    switch kind {
    case .relu: max(x, 0)
    case .silu: x / (1 + exp(-x))
    case .gelu: x * erfc(-x / 2.0.squareRoot()) / 2
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .tanh: tanh(x)
    }
  }

  static func slope(_ kind: Activation, _ x: Double) -> Double {
    if kind == .relu { return x > 0 ? 1 : 0 }
    let h = 1e-5 * max(1, abs(x))
    return
      (8 * (activation(kind, x + h) - activation(kind, x - h))
      - (activation(kind, x + 2 * h) - activation(kind, x - 2 * h))) / (12 * h)
  }

  /// Softmax of one row; zeros if everything is masked.
  static func softmax(_ row: [Double]) -> [Double] {
    let largest = row.max() ?? 0
    guard largest > -.infinity else { return row.map { _ in 0 } }
    let exponentials = row.map { exp($0 - largest) }
    let sum = exponentials.reduce(0, +)
    return exponentials.map { $0 / sum }
  }

}
