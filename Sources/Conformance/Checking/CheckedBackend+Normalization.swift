import Compute

/// How far two right normalisations may lie apart.
extension CheckedBackend {
  /// Of the output, the mean and the reciprocal deviation.
  func normBounds(
    _ side: CheckedSide, _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, centred: Bool
  ) throws -> [RoundingBound] {
    let (values, columns) = (try side.floats(x), max(1, x.columnCount))
    let units = RoundingBound.growth(columns)
    // For each row its largest element over its deviation: how much is lost when the mean is taken away.
    let conditions = stride(from: 0, to: values.count, by: columns).map { start -> Double in
      let row = values[start..<start + columns]
      let mean = centred ? row.reduce(0, +) / Double(columns) : 0
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
      let largest = row.reduce(0) { max($0, abs($1)) }
      return largest / (variance + Double(epsilon)).squareRoot()
    }
    let (scale, shift) = (try side.largest(weight), try side.largest(bias))
    let largest = try side.largest(x)
    return [
      RoundingBound { index, expected in
        let condition = conditions[index / columns]
        return units * Tracked.unit * (condition * (1 + condition) * scale + shift + abs(expected)) + Tracked.tiny
      },
      .absolute(units, of: largest),
      RoundingBound { row, expected in
        units * Tracked.unit * (1 + conditions[row]) * abs(expected) + Tracked.tiny
      },
    ]
  }

  /// Of the gradient with respect to X.
  func normBackwardBound(
    _ side: CheckedSide, _ cotangent: Tensor, _ x: Tensor, weight: Tensor, mean: Tensor?, rstd: Tensor
  ) throws -> RoundingBound {
    let columns = max(1, x.columnCount)
    let (values, deviations) = (try side.floats(x), try side.floats(rstd))
    let means = try mean.map { try side.floats($0) }
    let change = try side.largest(cotangent) * side.largest(weight)
    let units = RoundingBound.growth(columns)
    let scales = deviations.indices.map { row -> Double in
      let largest = values[row * columns..<(row + 1) * columns].reduce(0) { max($0, abs($1)) }
      let normal = (largest + abs(means?[row] ?? 0)) * abs(deviations[row])
      return abs(deviations[row]) * (1 + normal + normal * normal)
    }
    return RoundingBound { index, expected in
      units * Tracked.unit * (change * scales[index / columns] + abs(expected)) + Tracked.tiny
    }
  }

  /// Of the gradients with respect to weight and bias: sums over rows.
  func normParameterBounds(
    _ side: CheckedSide, _ cotangent: Tensor, _ x: Tensor, mean: Tensor?, rstd: Tensor
  ) throws -> [RoundingBound] {
    let rows = Double(x.rowCount)
    let change = try side.largest(cotangent)
    let normal = try (side.largest(x) + side.largest(mean)) * side.largest(rstd)
    let units = RoundingBound.growth(x.rowCount)
    return [.absolute(units, of: rows * change * normal), .absolute(units, of: rows * change)]
  }
}
