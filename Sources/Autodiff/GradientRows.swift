import Compute

extension Tape {
  /// The rows of a result that something trainable reaches, for an operation that keeps rows apart; nil for all of them.
  ///
  /// - Parameters:
  ///   - inputs: everything that the result was computed from.
  ///   - keepingRows: those of them whose rows become the rows of the result. Any other that is trained reaches them all.
  static func gradientRows(of inputs: [Variable], keepingRows: [Variable?]) -> Range<Int>? {
    var rows: Range<Int>?
    for input in inputs where input.requiresGradient {
      guard keepingRows.contains(where: { $0 === input }), let own = input.gradientRows else { return nil }
      rows = joined(rows, own)
    }
    return rows
  }

  /// The smallest range that holds both.
  static func joined(_ first: Range<Int>?, _ second: Range<Int>) -> Range<Int> {
    guard let first else { return second }
    return min(first.lowerBound, second.lowerBound)..<max(first.upperBound, second.upperBound)
  }
}

extension Tensor {
  /// Of a cotangent that has some rows of a result, those that reach an input of the same rows.
  ///
  /// - Parameters:
  ///   - rows: which rows of the result the cotangent has; nil for all.
  ///   - node: the input.
  func rows(of rows: Range<Int>?, reaching node: Variable.Node) throws -> Tensor {
    guard let wanted = node.rows else { return self }
    let start = wanted.lowerBound - (rows?.lowerBound ?? 0)
    return try self.rows(start..<start + wanted.count)
  }

  /// Consecutive elements of a vector.
  func elements(_ range: Range<Int>) -> Tensor {
    Tensor(storage: storage, offset: offset + range.lowerBound, shape: [range.count], dtype: dtype)
  }
}
