import Compute
import Foundation
import Testing

@testable import CPUBackend

@Suite struct RowTests {
  static let sizes = [(1, 1), (2, 2), (3, 15), (2, 16), (3, 17), (5, 33), (2, 47), (2, 64), (3, 129), (40, 700)]

  @Test(arguments: Variant.all) func softmax(_ variant: Variant) throws {
    let backend = try variant.backend()
    for (rows, n) in Self.sizes {
      var numbers = Numbers(UInt64(n))
      let x = numbers.normal(rows * n, 3), c = numbers.normal(rows * n)
      var mask = numbers.normal(rows * n).map { $0 > 0.8 ? -Float.infinity : 0 }
      for j in 0..<n { mask[(rows - 1) * n + j] = -.infinity }
      let y = try backend.softmax(
        try backend.tensor(x, [rows, n]), mask: try backend.tensor(mask, [rows, n]), scale: 0.7)
      let expected = (0..<rows).flatMap { row in
        Reference.softmax((0..<n).map { 0.7 * Double(x[row * n + $0]) + Double(mask[row * n + $0]) })
      }
      expectClose(try backend.values(y), expected, absolute: 1e-7, relative: 2e-6, "\(rows) x \(n)")
      let gradient = try backend.softmaxBackward(try backend.tensor(c, [rows, n]), y: y, scale: 0.7)
      let backward = (0..<rows).flatMap { row -> [Double] in
        let p = Array(expected[row * n..<(row + 1) * n])
        let inner = (0..<n).reduce(0) { $0 + p[$1] * Double(c[row * n + $1]) }
        return (0..<n).map { 0.7 * p[$0] * (Double(c[row * n + $0]) - inner) }
      }
      expectClose(try backend.values(gradient), backward, absolute: 1e-6, "\(rows) x \(n)")
    }
    let bad = try backend.values(try backend.softmax(try backend.tensor([1, .nan, 2, 0, 1000, -1000], [2, 3])))
    #expect(bad[0..<3].allSatisfy { $0.isNaN } && Array(bad[3...]) == [0, 1, 0])
  }

  @Test(arguments: Variant.all) func crossEntropy(_ variant: Variant) throws {
    let backend = try variant.backend()
    for (rows, n) in Self.sizes + [(2, 5000)] {
      var numbers = Numbers(UInt64(n))
      let x = numbers.normal(rows * n, 4), c = numbers.normal(rows)
      var labels = numbers.indices(rows, below: n)
      if rows > 1 { labels[1] = -100 }
      let logits = try backend.tensor(x, [rows, n])
      let indices = try backend.indices(labels)
      let result = try backend.crossEntropy(logits, indices)
      let gradient = try backend.crossEntropyBackward(
        try backend.tensor(c, [rows]), logits: logits, indices, logSumExp: result.logSumExp)
      var (losses, sums, gradients): ([Double], [Double], [Double]) = ([], [], [])
      for row in 0..<rows {
        let values = x[row * n..<(row + 1) * n].map(Double.init)
        let label = Int(labels[row])
        let sum = log(values.reduce(0) { $0 + exp($1) })
        sums.append(sum)
        losses.append(label < 0 ? 0 : sum - values[label])
        gradients += values.enumerated().map { j, value in
          label < 0 ? 0 : Double(c[row]) * (exp(value - sum) - (j == label ? 1 : 0))
        }
      }
      expectClose(try backend.values(result.logSumExp), sums, absolute: 1e-6, "\(rows) x \(n)")
      expectClose(try backend.values(result.losses), losses, absolute: 4e-6, "\(rows) x \(n)")
      expectClose(try backend.values(gradient), gradients, absolute: 4e-6, "\(rows) x \(n)")
    }
  }

  @Test(arguments: Variant.all) func normalization(_ variant: Variant) throws {
    let backend = try variant.backend()
    for (rows, n) in Self.sizes where n > 1 {
      var numbers = Numbers(UInt64(n))
      let x = numbers.normal(rows * n, 2).map { $0 + 3 }
      let (w, b, c) = (numbers.normal(n), numbers.normal(n), numbers.normal(rows * n))
      let input = try backend.tensor(x, [rows, n]), weight = try backend.tensor(w, [n])
      let cotangent = try backend.tensor(c, [rows, n])
      for centred in [true, false] {
        var (y, dx) = ([Double](), [Double]())
        var (dw, db) = ([Double](repeating: 0, count: n), [Double](repeating: 0, count: n))
        for row in 0..<rows {
          let values = x[row * n..<(row + 1) * n].map(Double.init)
          let mean = centred ? values.reduce(0, +) / Double(n) : 0
          let rstd = 1 / (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n) + 1e-5).squareRoot()
          let h = values.map { ($0 - mean) * rstd }
          let g = (0..<n).map { Double(c[row * n + $0]) * Double(w[$0]) }
          let meanG = centred ? g.reduce(0, +) / Double(n) : 0
          let meanGH = zip(g, h).reduce(0) { $0 + $1.0 * $1.1 } / Double(n)
          for j in 0..<n {
            y.append(h[j] * Double(w[j]) + (centred ? Double(b[j]) : 0))
            dx.append(rstd * (g[j] - meanG - h[j] * meanGH))
            dw[j] += Double(c[row * n + j]) * h[j]
            db[j] += Double(c[row * n + j])
          }
        }
        let label = "\(rows) x \(n), centred \(centred)"
        if centred {
          let r = try backend.layerNorm(input, weight: weight, bias: try backend.tensor(b, [n]))
          let gradient = try backend.layerNormBackward(
            cotangent, x: input, weight: weight, mean: r.mean, rstd: r.rstd)
          let parameters = try backend.layerNormBackwardParameters(cotangent, x: input, mean: r.mean, rstd: r.rstd)
          expectClose(try backend.values(r.output), y, absolute: 1e-5, label)
          expectClose(try backend.values(gradient), dx, absolute: 2e-5, relative: 1e-4, label)
          expectClose(try backend.values(parameters.weight), dw, absolute: 3e-5, relative: 1e-5, label)
          expectClose(try backend.values(parameters.bias), db, absolute: 1e-5, label)
        } else {
          let r = try backend.rmsNorm(input, weight: weight)
          expectClose(try backend.values(r.output), y, absolute: 5e-6, label)
          expectClose(
            try backend.values(try backend.rmsNormBackward(cotangent, x: input, weight: weight, rstd: r.rstd)), dx,
            absolute: 2e-6, label)
          expectClose(
            try backend.values(try backend.rmsNormBackwardWeight(cotangent, x: input, rstd: r.rstd)), dw,
            absolute: 2e-5, label)
        }
      }
    }
  }

  @Test(arguments: Variant.all) func movingRows(_ variant: Variant) throws {
    let backend = try variant.backend()
    for (rows, n) in Self.sizes {
      var numbers = Numbers(UInt64(n))
      let table = numbers.normal(rows * n), count = 2 * rows + 1
      let places = numbers.indices(count, below: rows)
      let updates = numbers.normal(count * n)
      let indices = try backend.indices(places)
      for dtype in [DType.f32, .bf16, .f16] {
        let got = try backend.values(try backend.gatherRows(try backend.narrowed(table, [rows, n], dtype), indices))
        let expected = places.flatMap { row in (0..<n).map { Float(stored(table[Int(row) * n + $0], dtype)) } }
        #expect(got == expected, "\(dtype)")
      }
      let base = try backend.tensor(table, [rows, n])
      var sums = table
      for (i, row) in places.enumerated() { for j in 0..<n { sums[Int(row) * n + j] += updates[i * n + j] } }
      let added = try backend.scatterAddRows(base: base, indices, updates: try backend.tensor(updates, [count, n]))
      #expect(try backend.values(added) == sums)

      let reversed = try backend.indices((0..<rows).reversed().map(Int32.init))
      let target = try backend.zeros([rows, n])
      try backend.scatterRows(base, reversed, to: target)
      let turned = (0..<rows).reversed().flatMap { table[$0 * n..<($0 + 1) * n] }
      #expect(try backend.values(target) == Array(turned))

      let half = n / 2
      let wide = try backend.concatColumns([
        try backend.columns(half..<n, of: base), base, try backend.columns(0..<half, of: base),
      ])
      let joined = (0..<rows).flatMap { row -> [Float] in
        let line = Array(table[row * n..<(row + 1) * n])
        return line[half...] + line + line[..<half]
      }
      #expect(try backend.values(wide) == joined)

      let columns = (0..<n).map { j in (0..<rows).reduce(0.0) { $0 + Double(table[$1 * n + j]) } }
      expectClose(try backend.values(try backend.columnSums(base)), columns, absolute: 1e-5)
      let largest = (0..<rows).map { row in
        Int32((0..<n).max { table[row * n + $0] < table[row * n + $1] } ?? 0)
      }
      #expect(try backend.integers(try backend.argmaxRows(base)) == largest)
    }
    let ties = try backend.tensor([1, 3, 3, 2, 9, .nan, 1, .nan], [2, 4])
    #expect(try backend.integers(try backend.argmaxRows(ties)) == [1, 1])
  }

  @Test(arguments: Variant.all) func rotary(_ variant: Variant) throws {
    let backend = try variant.backend()
    let (tokens, heads) = (7, 3)
    for (width, pairs) in [(2, 1), (10, 5), (48, 17), (66, 33)] {
      var numbers = Numbers(UInt64(width))
      let n = heads * width
      let x = numbers.normal(tokens * n), f = numbers.positive(pairs)
      let places = numbers.indices(tokens, below: 2000)
      for interleaved in [false, true] {
        let attributes = RotaryAttributes(
          heads: heads, inverseFrequencies: try backend.tensor(f, [pairs]), interleaved: interleaved, magnitude: 1.5)
        let positions = try backend.indices(places)
        let y = try backend.rotary(try backend.tensor(x, [tokens, n]), positions, attributes)
        var expected = x.map(Double.init)
        for (t, head, i) in (0..<tokens).flatMap({ t in
          (0..<heads).flatMap { h in (0..<pairs).map { (t, h, $0) } }
        }) {
          let first = t * n + head * width + (interleaved ? 2 * i : i)
          let second = first + (interleaved ? 1 : pairs)
          let angle = Double(places[t]) * Double(f[i])
          expected[first] = 1.5 * (Double(x[first]) * cos(angle) - Double(x[second]) * sin(angle))
          expected[second] = 1.5 * (Double(x[first]) * sin(angle) + Double(x[second]) * cos(angle))
        }
        expectClose(try backend.values(y), expected, absolute: 2e-6)
        let back = try backend.values(try backend.rotaryBackward(y, positions, attributes))
        let rotated = (0..<tokens * n).map { $0 % width < 2 * pairs ? 2.25 : 1 }
        expectClose(back, zip(x, rotated).map { Double($0) * $1 }, absolute: 5e-6)
      }
    }
  }
}
