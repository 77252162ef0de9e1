import Compute
import Foundation
import Testing

@testable import OpenCLBackend

extension OnDevice {
  @Suite struct RowKernels {
    static let widths = [1, 2, 15, 16, 17, 31, 33, 48, 65, 100, 129, 1031]

    @Test(arguments: Devices.backends)
    func softmaxAndItsGradient(_ device: TestBackend) throws {
      let backend = device.backend
      for n in Self.widths {
        var random = Random(UInt64(n))
        let rows = 5
        let (x, c) = (random.floats(rows * n, scale: 3), random.floats(rows * n))
        var mask = [Float](repeating: 0, count: rows * n)
        for j in 0..<n { mask[n + j] = -.infinity }  // row 1 sees nothing
        mask[0] = n > 1 ? -.infinity : 0
        var expected = [Double](repeating: 0, count: rows * n)
        var gradient = expected
        for row in 0..<rows {
          let range = row * n..<(row + 1) * n
          let exponentials = range.map { exp(0.7 * Double(x[$0]) + Double(mask[$0])) }
          let sum = exponentials.reduce(0, +)
          for j in 0..<n where sum > 0 { expected[row * n + j] = exponentials[j] / sum }
          let inner = range.reduce(0.0) { $0 + Double(c[$1]) * expected[$1] }
          for i in range { gradient[i] = 0.7 * expected[i] * (Double(c[i]) - inner) }
        }
        let y = try backend.softmax(
          try backend.tensor(x, [rows, n]), mask: try backend.tensor(mask, [rows, n]), scale: 0.7)
        expectClose(try backend.values(y), expected, absolute: 1e-7, "softmax of \(n)")
        let dx = try backend.softmaxBackward(try backend.tensor(c, [rows, n]), y: y, scale: 0.7)
        expectClose(try backend.values(dx), gradient, absolute: 1e-6, "softmaxBackward of \(n)")
      }
    }

    @Test(arguments: Devices.backends)
    func softmaxPassesNaNAndIgnoresLanesBehindTheRow(_ device: TestBackend) throws {
      let backend = device.backend
      var x: [Float] = [-.infinity, .nan, -.infinity, 1, 2, 3]
      let nan = try backend.values(try backend.softmax(try backend.tensor(x, [2, 3])))
      #expect(nan[0...2].allSatisfy { $0.isNaN })
      #expect(nan[3...5].allSatisfy { $0.isFinite })
      x = [1, 2, 3, 4, 5, 6]
      for scale: Float in [0, -1] {
        let got = try backend.values(try backend.softmax(try backend.tensor(x, [2, 3]), scale: scale))
        #expect(abs(got[0...2].reduce(0, +) - 1) < 1e-6)
      }
    }

    @Test(arguments: Devices.backends)
    func crossEntropy(_ device: TestBackend) throws {
      let backend = device.backend
      for n in [2, 17, 129, 1031] {
        var random = Random(UInt64(n))
        let rows = 6
        let (x, c) = (random.floats(rows * n, scale: 4), random.floats(rows))
        var labels = random.indices(rows, below: n)
        labels[2] = -100
        var losses = [Double](), gradient = [Double]()
        for row in 0..<rows {
          let values = x[row * n..<(row + 1) * n].map(Double.init)
          let top = values.max() ?? 0
          let logSum = top + log(values.reduce(0) { $0 + exp($1 - top) })
          let ignored = labels[row] == -100
          losses.append(ignored ? 0 : logSum - values[Int(labels[row])])
          gradient += values.indices.map {
            ignored ? 0 : Double(c[row]) * (exp(values[$0] - logSum) - ($0 == Int(labels[row]) ? 1 : 0))
          }
        }
        let logits = try backend.tensor(x, [rows, n])
        let target = try backend.indices(labels)
        let result = try backend.crossEntropy(logits, target)
        expectClose(try backend.values(result.losses), losses, absolute: 4e-6, "losses of \(n)")
        let dx = try backend.crossEntropyBackward(
          try backend.tensor(c, [rows]), logits: logits, target, logSumExp: result.logSumExp)
        expectClose(try backend.values(dx), gradient, absolute: 4e-6, "gradient of \(n)")
      }
    }

    @Test(arguments: Devices.backends)
    func normalizations(_ device: TestBackend) throws {
      let backend = device.backend
      for n in Self.widths {
        for rows in [1, 7, 300] where rows < 300 || n < 50 {
          var random = Random(UInt64(n + rows))
          let x = random.floats(rows * n).map { $0 * 2 + 1 }
          let (w, b, c) = (random.floats(n), random.floats(n), random.floats(rows * n))
          let reference = NormReference(x: x, w: w, b: b, c: c, rows: rows, n: n, epsilon: 1e-3)
          let (tx, tw) = (try backend.tensor(x, [rows, n]), try backend.tensor(w, [n]))
          let tc = try backend.tensor(c, [rows, n])
          let layer = try backend.layerNorm(tx, weight: tw, bias: try backend.tensor(b, [n]), epsilon: 1e-3)
          expectClose(try backend.values(layer.output), reference.layer, absolute: 2e-5, "layerNorm \(rows)x\(n)")
          let dx = try backend.layerNormBackward(tc, x: tx, weight: tw, mean: layer.mean, rstd: layer.rstd)
          expectClose(try backend.values(dx), reference.layerX, absolute: 1e-4, "layerNormBackward \(rows)x\(n)")
          let parameters = try backend.layerNormBackwardParameters(tc, x: tx, mean: layer.mean, rstd: layer.rstd)
          expectClose(try backend.values(parameters.weight), reference.layerW, absolute: 1e-4, "weight \(rows)x\(n)")
          expectClose(try backend.values(parameters.bias), reference.bias, absolute: 1e-4, "bias \(rows)x\(n)")
          let rms = try backend.rmsNorm(tx, weight: tw, epsilon: 1e-3)
          expectClose(try backend.values(rms.output), reference.rms, absolute: 2e-5, "rmsNorm \(rows)x\(n)")
          let rx = try backend.rmsNormBackward(tc, x: tx, weight: tw, rstd: rms.rstd)
          expectClose(try backend.values(rx), reference.rmsX, absolute: 1e-4, "rmsNormBackward \(rows)x\(n)")
          let rw = try backend.rmsNormBackwardWeight(tc, x: tx, rstd: rms.rstd)
          expectClose(try backend.values(rw), reference.rmsW, absolute: 1e-4, "rmsNorm weight \(rows)x\(n)")
        }
      }
    }
  }
}

/// Both normalisations and their gradients in Double.
struct NormReference {
  var layer: [Double] = [], layerX: [Double] = [], layerW: [Double] = [], bias: [Double] = []
  var rms: [Double] = [], rmsX: [Double] = [], rmsW: [Double] = []

  init(x: [Float], w: [Float], b: [Float], c: [Float], rows: Int, n: Int, epsilon: Double) {
    layerW = [Double](repeating: 0, count: n)
    (bias, rmsW) = (layerW, layerW)
    for row in 0..<rows {
      let values = x[row * n..<(row + 1) * n].map(Double.init)
      let cotangent = c[row * n..<(row + 1) * n].map(Double.init)
      let g = (0..<n).map { cotangent[$0] * Double(w[$0]) }
      func mean(_ a: [Double]) -> Double { a.reduce(0, +) / Double(n) }
      func gradient(_ h: [Double], _ rstd: Double, centred: Bool) -> [Double] {
        let projection = mean((0..<n).map { g[$0] * h[$0] })
        return (0..<n).map { rstd * (g[$0] - (centred ? mean(g) : 0) - h[$0] * projection) }
      }
      let average = mean(values)
      let rstd = 1 / (mean(values.map { ($0 - average) * ($0 - average) }) + epsilon).squareRoot()
      let h = values.map { ($0 - average) * rstd }
      layer += (0..<n).map { h[$0] * Double(w[$0]) + Double(b[$0]) }
      layerX += gradient(h, rstd, centred: true)
      let rootRstd = 1 / (mean(values.map { $0 * $0 }) + epsilon).squareRoot()
      let rootH = values.map { $0 * rootRstd }
      rms += (0..<n).map { rootH[$0] * Double(w[$0]) }
      rmsX += gradient(rootH, rootRstd, centred: false)
      for j in 0..<n {
        layerW[j] += cotangent[j] * h[j]
        bias[j] += cotangent[j]
        rmsW[j] += cotangent[j] * rootH[j]
      }
    }
  }
}
