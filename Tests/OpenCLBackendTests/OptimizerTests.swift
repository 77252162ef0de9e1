import Compute
import Foundation
import Testing

@testable import OpenCLBackend

extension OnDevice {
  @Suite struct Optimizers {
    @Test(arguments: Devices.backends)
    func adamW(_ device: TestBackend) throws {
      let backend = device.backend
      let n = 101
      var random = Random(1)
      let start = random.floats(n)
      let (p, m, v) = (try backend.tensor(start, [n]), try backend.zeros([n]), try backend.zeros([n]))
      var (rp, rm, rv) = (start.map(Double.init), [Double](repeating: 0, count: n), [Double](repeating: 0, count: n))
      for step in 1...5 {
        let g = random.floats(n)
        try backend.adamW(
          AdamWStep(learningRate: 0.01, weightDecay: 0.1, step: step), parameter: p,
          gradient: try backend.tensor(g, [n]), firstMoment: m, secondMoment: v)
        for i in 0..<n {
          let gradient = Double(g[i])
          rp[i] *= 1 - 0.01 * 0.1
          rm[i] = 0.9 * rm[i] + 0.1 * gradient
          rv[i] = 0.999 * rv[i] + 0.001 * gradient * gradient
          let corrected = (rv[i] / (1 - pow(0.999, Double(step)))).squareRoot()
          rp[i] -= 0.01 / (1 - pow(0.9, Double(step))) * rm[i] / (corrected + 1e-8)
        }
      }
      expectClose(try backend.values(p), rp, absolute: 1e-5, "parameter")
    }

    @Test(arguments: Devices.backends)
    func sgd(_ device: TestBackend) throws {
      let backend = device.backend
      let n = 50
      var random = Random(2)
      let start = random.floats(n)
      for hasVelocity in [false, true] {
        let p = try backend.tensor(start, [n])
        let velocity = hasVelocity ? try backend.zeros([n]) : nil
        var (rp, rv) = (start.map(Double.init), [Double](repeating: 0, count: n))
        for _ in 1...3 {
          let g = random.floats(n)
          try backend.sgd(
            learningRate: 0.1, momentum: hasVelocity ? 0.9 : 0, weightDecay: 0.01, parameter: p,
            gradient: try backend.tensor(g, [n]), velocity: velocity)
          for i in 0..<n {
            rv[i] = (hasVelocity ? 0.9 * rv[i] : 0) + Double(g[i]) + 0.01 * rp[i]
            rp[i] -= 0.1 * rv[i]
          }
        }
        expectClose(try backend.values(p), rp, absolute: 1e-5, "parameter")
      }
    }

    @Test(arguments: Devices.backends)
    func adafactor(_ device: TestBackend) throws {
      let backend = device.backend
      let (rows, columns) = (20, 33)
      let n = rows * columns
      for factored in [false, true] {
        var random = Random(3)
        let start = random.floats(n)
        let p = try backend.tensor(start, [rows, columns])
        let moments: AdafactorMoments =
          factored
          ? .factored(rows: try backend.zeros([rows]), columns: try backend.zeros([columns]))
          : .full(try backend.zeros([rows, columns]))
        var rp = start.map(Double.init)
        var full = [Double](repeating: 0, count: n)
        var (r, c) = ([Double](repeating: 0, count: rows), [Double](repeating: 0, count: columns))
        for step in 1...4 {
          let g = random.floats(n, scale: step == 2 ? 5 : 1)
          try backend.adafactor(
            AdafactorStep(learningRate: 0.05, weightDecay: 0.1, step: step), parameter: p,
            gradient: try backend.tensor(g, [rows, columns]), moments: moments)
          let beta = 1 - pow(Double(step), -0.8)
          let s = g.map { Double($0) * Double($0) + 1e-30 }
          for i in 0..<rows {
            r[i] = beta * r[i] + (1 - beta) * (0..<columns).reduce(0) { $0 + s[i * columns + $1] } / Double(columns)
          }
          for j in 0..<columns {
            c[j] = beta * c[j] + (1 - beta) * (0..<rows).reduce(0) { $0 + s[$1 * columns + j] } / Double(rows)
          }
          let mean = r.reduce(0, +) / Double(rows)
          var update = [Double]()
          for i in 0..<n {
            full[i] = beta * full[i] + (1 - beta) * s[i]
            let moment = factored ? r[i / columns] * c[i % columns] / mean : full[i]
            update.append(Double(g[i]) / moment.squareRoot())
          }
          func rms(_ a: [Double]) -> Double { (a.reduce(0) { $0 + $1 * $1 } / Double(n)).squareRoot() }
          let rate = 0.05 * max(1e-3, rms(rp))
          let clip = max(1, rms(update))
          for i in 0..<n { rp[i] -= rate * (update[i] / clip + 0.1 * rp[i]) }
        }
        expectClose(try backend.values(p), rp, absolute: 1e-5, "parameter, factored \(factored)")
      }
    }
  }
}
