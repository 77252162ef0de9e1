import Compute
import Foundation
import Testing

@testable import CPUBackend

@Suite struct OptimizerTests {
  @Test(arguments: Variant.all) func adamW(_ variant: Variant) throws {
    let backend = try variant.backend()
    for count in [1, 17, 70_001] {
      var numbers = Numbers(UInt64(count))
      let start = numbers.normal(count)
      let parameter = try backend.tensor(start, [count])
      let first = try backend.zeros([count]), second = try backend.zeros([count])
      var (p, m, v) = (
        start.map(Double.init), [Double](repeating: 0, count: count), [Double](repeating: 0, count: count)
      )
      for step in 1...3 {
        let g = numbers.normal(count)
        try backend.adamW(
          AdamWStep(learningRate: 0.1, weightDecay: 0.2, step: step), parameter: parameter,
          gradient: try backend.tensor(g, [count]), firstMoment: first, secondMoment: second)
        for i in 0..<count {
          p[i] *= 1 - 0.1 * 0.2
          m[i] = 0.9 * m[i] + 0.1 * Double(g[i])
          v[i] = 0.999 * v[i] + 0.001 * Double(g[i]) * Double(g[i])
          p[i] -=
            0.1 / (1 - pow(0.9, Double(step))) * m[i]
            / (v[i].squareRoot() / (1 - pow(0.999, Double(step))).squareRoot() + 1e-8)
        }
      }
      expectClose(try backend.values(parameter), p, absolute: 1e-5)
    }
  }

  @Test(arguments: Variant.all) func sgd(_ variant: Variant) throws {
    let backend = try variant.backend()
    var numbers = Numbers(2)
    let start = numbers.normal(50), g = numbers.normal(50)
    for momentum in [Float(0), 0.9] {
      let parameter = try backend.tensor(start, [50]), velocity = momentum > 0 ? try backend.zeros([50]) : nil
      var (p, u) = (start.map(Double.init), [Double](repeating: 0, count: 50))
      for _ in 0..<3 {
        try backend.sgd(
          learningRate: 0.1, momentum: momentum, weightDecay: 0.3, parameter: parameter,
          gradient: try backend.tensor(g, [50]), velocity: velocity)
        for i in 0..<50 {
          u[i] = Double(momentum) * u[i] + Double(g[i]) + 0.3 * p[i]
          p[i] -= 0.1 * u[i]
        }
      }
      expectClose(try backend.values(parameter), p, absolute: 2e-6)
    }
  }

  @Test(arguments: Variant.all) func adafactor(_ variant: Variant) throws {
    let backend = try variant.backend()
    for (rows, n, factored) in [(1, 1, true), (20, 33, true), (70, 5000, true), (3, 17, false)] {
      for scales in [true, false] {
        var numbers = Numbers(UInt64(n))
        let start = numbers.normal(rows * n)
        let parameter = try backend.tensor(start, [rows, n])
        let r = try backend.zeros([rows]), c = try backend.zeros([n]), full = try backend.zeros([rows, n])
        var p = start.map(Double.init)
        var (R, C) = ([Double](repeating: 0, count: rows), [Double](repeating: 0, count: n))
        var V = [Double](repeating: 0, count: rows * n)
        for step in 1...2 {
          let g = numbers.normal(rows * n)
          try backend.adafactor(
            AdafactorStep(learningRate: 0.3, weightDecay: 0.1, scalesByParameter: scales, step: step),
            parameter: parameter, gradient: try backend.tensor(g, [rows, n]),
            moments: factored ? .factored(rows: r, columns: c) : .full(full))
          let b = 1 - pow(Double(step), -0.8)
          let s = g.map { Double($0) * Double($0) + 1e-30 }
          for i in 0..<rows { R[i] = b * R[i] + (1 - b) * (0..<n).reduce(0) { $0 + s[i * n + $1] } / Double(n) }
          for j in 0..<n { C[j] = b * C[j] + (1 - b) * (0..<rows).reduce(0) { $0 + s[$1 * n + j] } / Double(rows) }
          for i in V.indices { V[i] = b * V[i] + (1 - b) * s[i] }
          let mean = R.reduce(0, +) / Double(rows)
          var u = g.indices.map {
            Double(g[$0]) / (factored ? R[$0 / n] * C[$0 % n] / mean : V[$0]).squareRoot()
          }
          let clip = max(1, (u.reduce(0) { $0 + $1 * $1 } / Double(u.count)).squareRoot())
          u = u.map { $0 / clip }
          let size = scales ? 0.3 * max(1e-3, (p.reduce(0) { $0 + $1 * $1 } / Double(p.count)).squareRoot()) : 0.3
          for i in p.indices { p[i] -= size * (u[i] + 0.1 * p[i]) }
        }
        expectClose(try backend.values(parameter), p, absolute: 1e-5, "\(rows) x \(n)")
      }
    }
  }

  @Test(arguments: Variant.all) func reductions(_ variant: Variant) throws {
    let backend = try variant.backend()
    for count in [1, 15, 4097, 100_003] {
      var numbers = Numbers(UInt64(count))
      var x = numbers.normal(count)
      let tensor = try backend.tensor(x, [count])
      let squares = x.reduce(0.0) { $0 + Double($1) * Double($1) }
      #expect(try abs(backend.sumOfSquares(tensor) - squares) <= 1e-6 * squares)
      #expect(try abs(backend.sum(tensor) - x.reduce(0.0) { $0 + Double($1) }) <= 1e-6 * squares + 1e-6)
      #expect(try backend.firstNonFinite(tensor) == nil)
      let place = count * 2 / 3
      x[count - 1] = .nan
      x[place] = -.infinity
      let bad = try backend.tensor(x, [count])
      #expect(try backend.firstNonFinite(bad) == place)
      #expect(try !backend.sumOfSquares(bad).isFinite)
    }
  }
}
