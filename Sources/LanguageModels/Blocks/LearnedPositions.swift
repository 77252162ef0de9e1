import Autodiff
import Compute

/// A vector for each position, added to the token's.
struct LearnedPositions {
  /// `[positions + offset, width]`.
  let table: Parameter
  /// The row of position 0.
  var offset = 0

  /// `[rows, width]`.
  func callAsFunction(_ positions: Indices, on tape: Tape) throws -> Variable {
    let rows =
      offset == 0 ? positions : try tape.backend.indices(positions.values.map { $0 + Int32(offset) })
    return try tape.gatherRows(tape.variable(table), rows)
  }
}
