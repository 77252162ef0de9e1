import Foundation

extension ComputeBackend {
  /// The default body: `scale` and `addScaled` in a few passes.
  public func sgd(
    learningRate: Float, momentum: Float, weightDecay: Float, parameter: Tensor, gradient: Tensor, velocity: Tensor?
  ) throws {
    var gradient = gradient
    if weightDecay != 0 {
      gradient = try duplicate(gradient)
      try addScaled(parameter, by: weightDecay, onto: gradient)
    }
    if let velocity {
      try scale(velocity, by: momentum, into: velocity)
      try addScaled(gradient, by: 1, onto: velocity)
    }
    try addScaled(velocity ?? gradient, by: -learningRate, onto: parameter)
  }

  /// The default body: reads everything, computes in Double on the host and writes parameter and moments back.
  public func adafactor(_ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments) throws {
    let kept = 1 - pow(Double(step.step), -Double(step.decay))
    let (p, g) = (try values(parameter).map(Double.init), try values(gradient).map(Double.init))
    let squares = g.map { $0 * $0 + Double(step.gradientEpsilon) }
    func rootMeanSquare(_ x: [Double]) -> Double { (x.reduce(0) { $0 + $1 * $1 } / Double(x.count)).squareRoot() }
    func updated(_ moments: Tensor, _ entries: [Double]) throws -> [Double] {
      let new = try zip(values(moments), entries).map { kept * Double($0) + (1 - kept) * $1 }
      try upload(new, to: moments)
      return new
    }

    var update: [Double]
    switch moments {
    case .full(let all):
      let new = try updated(all, squares)
      update = zip(g, new).map { $0 / $1.squareRoot() }
    case .factored(let rows, let columns):
      let (r, c) = (rows.count, columns.count)
      var (rowMeans, columnMeans) = ([Double](repeating: 0, count: r), [Double](repeating: 0, count: c))
      for (place, square) in squares.enumerated() {
        rowMeans[place / c] += square / Double(c)
        columnMeans[place % c] += square / Double(r)
      }
      let (newRows, newColumns) = (try updated(rows, rowMeans), try updated(columns, columnMeans))
      let mean = newRows.reduce(0, +) / Double(r)
      update = g.enumerated().map { $1 / (newRows[$0 / c] * newColumns[$0 % c] / mean).squareRoot() }
    }
    let divisor = max(1, rootMeanSquare(update) / Double(step.clipThreshold))
    let relative = step.scalesByParameter ? max(Double(step.parameterEpsilon), rootMeanSquare(p)) : 1
    let rate = Double(step.learningRate) * relative
    for i in update.indices { update[i] = p[i] - rate * (update[i] / divisor + Double(step.weightDecay) * p[i]) }
    try upload(update, to: parameter)
  }

  private func upload(_ values: [Double], to tensor: Tensor) throws {
    try values.map { Float($0) }.withUnsafeBytes { try write($0, to: tensor) }
  }
}
