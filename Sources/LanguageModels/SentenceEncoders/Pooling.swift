import Foundation

/// How the hidden states of a text become one vector.
public enum Pooling: String, Sendable, Hashable, Codable, CaseIterable {
  /// The first token's.
  case first = "cls"
  case mean
  /// The largest value of each column.
  case maximum = "max"
  /// The sum over the square root of the number of tokens.
  case meanOverSquareRoot = "mean_sqrt_len_tokens"
  /// The mean with weights 1, 2, 3, ...
  case weightedMean = "weightedmean"
  /// The last token's.
  case last = "lasttoken"

  /// Pools the rows of a matrix, `[rows, width]` row-major with at least one row.
  ///
  /// Sums are formed in `Double`.
  public func callAsFunction(_ states: ArraySlice<Float>, width: Int) -> [Float] {
    precondition(!states.isEmpty && states.count % width == 0, "whole rows, at least one")
    let rows = states.count / width
    func row(_ number: Int) -> ArraySlice<Float> { states.dropFirst(number * width).prefix(width) }
    func sum(weight: (Int) -> Double) -> [Double] {
      var total = [Double](repeating: 0, count: width)
      for number in 0..<rows {
        let factor = weight(number)
        for (column, value) in row(number).enumerated() { total[column] += factor * Double(value) }
      }
      return total
    }
    switch self {
    case .first: return Array(row(0))
    case .last: return Array(row(rows - 1))
    case .mean: return sum { _ in 1 }.map { Float($0 / Double(rows)) }
    case .meanOverSquareRoot: return sum { _ in 1 }.map { Float($0 / Double(rows).squareRoot()) }
    case .weightedMean:
      let weights = Double(rows * (rows + 1) / 2)
      return sum { Double($0 + 1) }.map { Float($0 / weights) }
    case .maximum:
      var largest = Array(row(0))
      for number in 1..<max(rows, 1) {
        for (column, value) in row(number).enumerated() where value > largest[column] { largest[column] = value }
      }
      return largest
    }
  }
}

extension Array where Element == Float {
  /// The vector over its Euclidean length; a vector of zeros stays one.
  public var normalized: [Float] {
    let length = reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return length > 0 ? map { Float(Double($0) / Swift.max(length, 1e-12)) } : self
  }
}
