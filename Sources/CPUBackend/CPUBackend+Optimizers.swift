import CPUTiles
import Compute
import Foundation

extension CPUBackend {
  public func adamW(
    _ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor
  ) throws {
    let (p, g, m, v) = (parameter.floats, gradient.floats, firstMoment.floats, secondMoment.floats)
    let keep = Float(1 - Double(step.learningRate) * Double(step.weightDecay))
    let stepSize = Float(Double(step.learningRate) / (1 - pow(Double(step.beta1), Double(step.step))))
    let correction = Float(1 / (1 - pow(Double(step.beta2), Double(step.step))).squareRoot())
    workers.runRanges(parameter.count, grain: Self.elementGrain) { range, _ in
      let i = range.lowerBound
      tiles.adamW(
        p + i, g + i, m + i, v + i, Int64(range.count), step.beta1, step.beta2, keep, stepSize, correction,
        step.epsilon)
    }
  }

  public func sgd(
    learningRate: Float, momentum: Float, weightDecay: Float, parameter: Tensor, gradient: Tensor, velocity: Tensor?
  ) throws {
    let (p, g, v) = (parameter.floats, gradient.floats, velocity?.floats)
    workers.runRanges(parameter.count, grain: Self.elementGrain) { range, _ in
      let i = range.lowerBound
      tiles.sgd(p + i, g + i, v.map { $0 + i }, Int64(range.count), learningRate, momentum, weightDecay)
    }
  }

  public func adafactor(_ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments) throws {
    let beta = Float(1 - pow(Double(step.step), -Double(step.decay)))
    let (g, n) = (gradient.floats, gradient.columnCount)
    // `u = g / sqrt(factor moment)`: per row a factor, per column a moment; or factor 1 and a moment per element.
    let moment: UnsafeMutablePointer<Float>
    let factors: [Float]?
    switch moments {
    case .full(let tensor):
      moment = tensor.floats
      factors = nil
      workers.runRanges(gradient.count, grain: Self.elementGrain) { range, _ in
        tiles.adafactorMoment(
          g + range.lowerBound, moment + range.lowerBound, beta, step.gradientEpsilon, Int64(range.count))
      }
    case .factored(let rows, let columns):
      moment = columns.floats
      factors = updateFactoredMoments(gradient, rows: rows, columns: columns, beta: beta, step.gradientEpsilon)
    }
    let squares = sumOverPieces(gradient, factored: factors != nil) { row, range in
      let i = row * n + range.lowerBound
      let place = factors == nil ? i : range.lowerBound
      return tiles.adafactorUpdateSquares(g + i, moment + place, factors?[row] ?? 1, Int64(range.count))
    }
    let root = (squares / Double(gradient.count)).squareRoot()
    let clip = root / Double(step.clipThreshold)
    var size = Double(step.learningRate)
    if step.scalesByParameter {
      let parameterRoot = (try sumOfSquares(parameter) / Double(parameter.count)).squareRoot()
      // A NaN passes: it is not smaller than anything.
      size *= parameterRoot < Double(step.parameterEpsilon) ? Double(step.parameterEpsilon) : parameterRoot
    }
    let keep = Float(1 - size * Double(step.weightDecay))
    let stepSize = Float(clip < 1 ? size : size / clip)
    let p = parameter.floats
    _ = sumOverPieces(gradient, factored: factors != nil) { row, range in
      let i = row * n + range.lowerBound
      let place = factors == nil ? i : range.lowerBound
      tiles.adafactorStep(p + i, g + i, moment + place, factors?[row] ?? 1, keep, stepSize, Int64(range.count))
      return 0
    }
  }

  /// Updates the means of rows and columns; returns the rows' means over the mean of all.
  private func updateFactoredMoments(
    _ gradient: Tensor, rows: Tensor, columns: Tensor, beta: Float, _ epsilon: Float
  ) -> [Float] {
    let (g, r, c) = (gradient.floats, rows.floats, columns.floats)
    let (height, n) = (gradient.rowCount, gradient.columnCount)
    workers.runRanges(height, grain: Self.rowGrain(n)) { range, _ in
      for row in range {
        r[row] = beta * r[row] + (1 - beta) * (tiles.adafactorSum(g + row * n, epsilon, Int64(n)) / Float(n))
      }
    }
    workers.runRanges(n, grain: Self.columnGrain) { range, worker in
      let sums = workers.floats(range.count, worker: worker)
      tiles.fill(sums, 0, Int64(range.count))
      for start in stride(from: 0, to: height, by: 64) {
        tiles.adafactorColumns(
          g + start * n + range.lowerBound, Int64(n), Int64(min(64, height - start)), Int64(range.count), epsilon,
          sums)
      }
      for (i, column) in range.enumerated() {
        c[column] = beta * c[column] + (1 - beta) * (sums[i] / Float(height))
      }
    }
    var mean = 0.0
    for row in 0..<height { mean += Double(r[row]) }
    mean /= Double(height)
    return (0..<height).map { Float(Double(r[$0]) / mean) }
  }

  /// The sum over all elements of what `partial` makes of a piece of a row: whole rows for factored moments, otherwise
  /// everything as one row.
  private func sumOverPieces(_ tensor: Tensor, factored: Bool, _ partial: (_ row: Int, Range<Int>) -> Float) -> Double {
    guard factored else { return sumOfPartials(count: tensor.count) { range, _ in partial(0, range) } }
    let n = tensor.columnCount
    var sums = [Double](repeating: 0, count: tensor.rowCount)
    sums.withUnsafeMutableBufferPointer { sums in
      let sums = sums
      workers.runRanges(tensor.rowCount, grain: Self.rowGrain(n)) { rows, _ in
        for row in rows {
          for start in stride(from: 0, to: n, by: Self.partialCount) {
            sums[row] += Double(partial(row, start..<min(n, start + Self.partialCount)))
          }
        }
      }
    }
    return sums.reduce(0, +)
  }
}
