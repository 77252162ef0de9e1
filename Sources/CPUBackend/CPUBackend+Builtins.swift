import CPUTiles
import Compute
import Foundation

extension CPUBackend {
  /// The C library's functions, and for `exponential` the tiles' own.
  public func builtin(_ function: Builtin, _ operands: [Tensor], scalar: Bool, into output: Tensor) throws {
    let (count, result) = (output.count, output.floats)
    let x = operands[0].floats
    guard function != .exponential else {
      // exp(x - 0) times 1.
      return tiles.scaledExp(x, 0, 1, result, Int64(count))
    }
    let y = operands[min(1, operands.count - 1)].floats
    let z = operands[min(2, operands.count - 1)].floats
    let value: (Int) -> Float =
      switch function {
      case .exp, .exponential: { expf(x[$0]) }
      case .log: { logf(x[$0]) }
      case .tanh: { tanhf(x[$0]) }
      case .erf: { erff(x[$0]) }
      case .erfc: { erfcf(x[$0]) }
      case .rsqrt: { 1 / x[$0].squareRoot() }
      case .sqrt: { x[$0].squareRoot() }
      case .sin: { sinf(x[$0]) }
      case .cos: { cosf(x[$0]) }
      case .divide: { x[$0] / y[$0] }
      case .pow: { powf(x[$0], y[$0]) }
      case .fma: { fmaf(x[$0], y[$0], z[$0]) }
      }
    for index in 0..<count { result[index] = value(index) }
  }
}
