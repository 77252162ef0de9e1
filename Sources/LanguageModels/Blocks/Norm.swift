import Autodiff
import Compute

/// Normalisation of rows: layer norm, or root-mean-square norm.
struct Norm {
  enum Kind {
    /// Centred and scaled (Ba et al., 2016), with an optional bias.
    case layer(bias: Parameter?)
    /// Scaled only (Zhang and Sennrich, 2019).
    case rootMeanSquare
  }

  let kind: Kind
  let weight: Parameter
  let epsilon: Float

  /// Rows of the width of `weight`; the same shape.
  func callAsFunction(_ x: Variable, on tape: Tape) throws -> Variable {
    switch kind {
    case .layer(let bias):
      try tape.layerNorm(
        x, weight: tape.variable(weight), bias: bias.map { tape.variable($0) }, epsilon: epsilon)
    case .rootMeanSquare:
      try tape.rmsNorm(x, weight: tape.variable(weight), epsilon: epsilon)
    }
  }
}
