import Compute
import Foundation
import Testing

@testable import OpenCLBackend

extension OnDevice {
  @Suite struct ElementKernels {
    @Test(arguments: Devices.backends)
    func sumsAndProducts(_ device: TestBackend) throws {
      let backend = device.backend
      for (rows, n) in [(1, 1), (3, 17), (5, 48), (7, 1031)] {
        var random = Random(UInt64(n))
        let (a, b, row, factors) = (
          random.floats(rows * n), random.floats(rows * n), random.floats(n), random.floats(rows)
        )
        let (ta, tb) = (try backend.tensor(a, [rows, n]), try backend.tensor(b, [rows, n]))
        let tr = try backend.tensor(row, [n])
        func compare(_ got: Tensor, _ name: String, _ reference: (Int) -> Double) throws {
          expectClose(
            try backend.values(got), a.indices.map(reference), absolute: 1e-6, "\(name) \(rows)x\(n)")
        }
        try compare(try backend.add(ta, tb), "add") { Double(a[$0]) + Double(b[$0]) }
        try compare(try backend.multiply(ta, tb), "multiply") { Double(a[$0]) * Double(b[$0]) }
        try compare(try backend.add(ta, tr), "add row") { Double(a[$0]) + Double(row[$0 % n]) }
        try compare(try backend.multiply(ta, tr), "multiply row") { Double(a[$0]) * Double(row[$0 % n]) }
        try compare(try backend.scale(ta, by: -0.3), "scale") { Double(a[$0]) * -0.3 }
        try compare(try backend.scaleRows(ta, by: try backend.tensor(factors, [rows])), "scaleRows") {
          Double(a[$0]) * Double(factors[$0 / n])
        }
        try backend.addScaled(tb, 0.5, onto: ta)
        try compare(ta, "addScaled") { Double(a[$0]) + 0.5 * Double(b[$0]) }
      }
    }

    @Test(arguments: Devices.backends)
    func activations(_ device: TestBackend) throws {
      let backend = device.backend
      var random = Random(2)
      let x = random.floats(1031, scale: 3) + [0, -0.0, 40, -40, 90, -90, 1e20]
      let n = x.count
      let (c, up) = (random.floats(n), random.floats(n))
      let (tx, tc) = (try backend.tensor(x, [n]), try backend.tensor(c, [n]))
      for kind in Activation.allCases {
        let value = x.map { activate(Double($0), kind) }
        let slopes = x.map { slope(Double($0), kind) }
        func check(_ tensor: Tensor, _ name: String, _ expected: (Int) -> Double) throws {
          expectClose(
            try backend.values(tensor), x.indices.map(expected), absolute: 2e-6, relative: 4e-6,
            "\(kind.rawValue) \(name)")
        }
        try check(try backend.activation(kind, tx), "value") { value[$0] }
        try check(try backend.activationBackward(kind, tc, x: tx), "gradient") { Double(c[$0]) * slopes[$0] }
        let tu = try backend.tensor(up, [n])
        try check(try backend.gated(kind, gate: tx, up: tu), "gated") { value[$0] * Double(up[$0]) }
        let gradients = try backend.gatedBackward(kind, tc, gate: tx, up: tu)
        try check(gradients.gate, "gate") { Double(c[$0]) * Double(up[$0]) * slopes[$0] }
        try check(gradients.up, "up") { Double(c[$0]) * value[$0] }
        let special = try backend.values(try backend.activation(kind, try backend.tensor([.nan, .infinity], [2])))
        #expect(special[0].isNaN && special[1] == (kind == .tanh ? 1 : .infinity))
      }
    }

    /// Where nearly everything cancels in 1 + erf: errors against the value itself, not against x.
    ///
    /// Rounding x^2 / 2 alone costs x^2 / 2 units.
    @Test(arguments: Devices.backends)
    func geluKeepsItsDigitsFarBelow0(_ device: TestBackend) throws {
      let backend = device.backend
      let x = stride(from: Float(-12), through: -0.01, by: 0.0137).map { $0 }
      let values = try backend.values(try backend.activation(.gelu, try backend.tensor(x, [x.count])))
      for (x, got) in zip(x, values) {
        let expected = Double(x) * 0.5 * erfc(-Double(x) / 2.0.squareRoot())
        let tolerance = 0x1p-24 * (24 + 4 * Double(x * x)) * abs(expected) + 0x1p-126
        guard abs(Double(got) - expected) <= tolerance else {
          Issue.record("gelu(\(x)) is \(got), not \(expected)")
          return
        }
      }
      let beyond: [Float] = [-13.19, -13.2, -13.3, -40, -1e4, -3e38]
      let zeros = try backend.values(try backend.activation(.gelu, try backend.tensor(beyond, [beyond.count])))
      #expect(zeros.allSatisfy { abs($0) <= 0x1p-126 }, "\(zeros)")
    }

    private func slope(_ x: Double, _ kind: Activation) -> Double {
      switch kind {
      case .relu: return x > 0 ? 1 : 0
      case .silu:
        let s = 1 / (1 + exp(-x))
        return s * (1 + x * (1 - s))
      case .gelu: return 0.5 * erfc(-x / 2.0.squareRoot()) + x * exp(-x * x / 2) / (2 * Double.pi).squareRoot()
      case .geluTanh:
        let u = (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
        let t = tanh(u)
        let inner = (1 - t * t) == 0 ? 0 : (1 - t * t) * (1 + 3 * 0.044715 * x * x)
        return 0.5 * (1 + t) + 0.5 * x * inner * (2 / Double.pi).squareRoot()
      case .tanh: return 1 / (cosh(x) * cosh(x))
      }
    }

    @Test(arguments: Devices.backends)
    func dropoutDrawsTheNumbersOfTheHost(_ device: TestBackend) throws {
      let backend = device.backend
      let x = (0..<5001).map { Float($0) + 1 }
      let tensor = try backend.tensor(x, [x.count])
      let got = try backend.values(
        try backend.dropout(tensor, probability: 0.3, seed: 1 << 40 | 7, stream: 1 << 35 | 3))
      var generator = Philox(seed: 1 << 40 | 7, stream: 1 << 35 | 3)
      let expected = x.map { generator.nextUniform() >= 0.3 ? Double($0) / 0.7 : 0 }
      expectClose(got, expected, absolute: 0, relative: 1e-6, "dropout")
    }

    @Test(arguments: Devices.backends)
    func rowsAndColumns(_ device: TestBackend) throws {
      let backend = device.backend
      for n in [1, 16, 17, 100] {
        var random = Random(UInt64(n))
        let table = Stored(random.floats(9 * n), n == 16 ? .bf16 : n == 17 ? .f16 : .f32)
        let picks: [Int32] = [3, 3, 0, 8, 3, 1]
        let indices = try backend.indices(picks)
        let gathered = try backend.gatherRows(try table.tensor(backend, [9, n]), indices)
        let picked = try backend.values(gathered)
        #expect(picked == picks.flatMap { Array(table.values[Int($0) * n..<(Int($0) + 1) * n]) })
        let (base, updates) = (random.floats(9 * n), random.floats(6 * n))
        var expected = base.map(Double.init)
        for (i, row) in picks.enumerated() {
          for j in 0..<n { expected[Int(row) * n + j] += Double(updates[i * n + j]) }
        }
        let added = try backend.scatterAddRows(
          base: try backend.tensor(base, [9, n]), indices, updates: try backend.tensor(updates, [6, n]))
        expectClose(try backend.values(added), expected, absolute: 2e-6, "scatterAddRows of \(n)")
        let target = try backend.tensor(base, [9, n])
        try backend.scatterRows(
          try backend.tensor(updates, [6, n]).rows(1..<3), try backend.indices([8, 2]), to: target)
        var moved = base
        for j in 0..<n { (moved[8 * n + j], moved[2 * n + j]) = (updates[n + j], updates[2 * n + j]) }
        let scattered = try backend.values(target)
        #expect(scattered == moved)
        let rows = 300
        let x = random.floats(rows * n)
        let tx = try backend.tensor(x, [rows, n])
        let sums = (0..<n).map { j in (0..<rows).reduce(0.0) { $0 + Double(x[$1 * n + j]) } }
        expectClose(try backend.values(try backend.columnSums(tx)), sums, absolute: 1e-4, "columnSums of \(n)")
        let split = n / 3
        let (left, right) = (try backend.columns(0..<split, of: tx), try backend.columns(split..<n, of: tx))
        let joined = try backend.values(try backend.concatColumns([left, right]))
        #expect(joined == x)
      }
    }

    @Test(arguments: Devices.backends)
    func largestElement(_ device: TestBackend) throws {
      let backend = device.backend
      var x = [Float](repeating: -.infinity, count: 4 * 300)
      (x[17], x[250]) = (3, 3)
      (x[300 + 299], x[300 + 5]) = (7, 6)
      (x[600 + 100], x[600 + 40], x[600 + 2]) = (.nan, .nan, 9)
      let places = try backend.integers(try backend.argmaxRows(try backend.tensor(x, [4, 300])))
      #expect(places == [17, 299, 40, 0])
    }

    @Test(arguments: Devices.backends)
    func rotation(_ device: TestBackend) throws {
      let backend = device.backend
      let (tokens, heads, width, half) = (5, 3, 10, 4)
      var random = Random(4)
      let x = random.floats(tokens * heads * width)
      let frequencies: [Float] = [1, 0.3, 0.05, 0.001]
      let positions: [Int32] = [0, 1, 7, 100, 2000]
      for interleaved in [false, true] {
        var expected = x.map(Double.init)
        for (row, position) in positions.enumerated() {
          for head in 0..<heads {
            for i in 0..<half {
              let first = (row * heads + head) * width + (interleaved ? 2 * i : i)
              let second = first + (interleaved ? 1 : half)
              let angle = Double(Float(position) * frequencies[i])
              let (a, b) = (Double(x[first]), Double(x[second]))
              expected[first] = 0.8 * (a * cos(angle) - b * sin(angle))
              expected[second] = 0.8 * (a * sin(angle) + b * cos(angle))
            }
          }
        }
        let attributes = RotaryAttributes(
          heads: heads, inverseFrequencies: try backend.tensor(frequencies, [half]), interleaved: interleaved,
          magnitude: 0.8)
        let tx = try backend.tensor(x, [tokens, heads * width])
        let places = try backend.indices(positions)
        let turned = try backend.rotary(tx, places, attributes)
        expectClose(try backend.values(turned), expected, absolute: 2e-6, "rotary")
        let back = try backend.values(try backend.rotaryBackward(turned, places, attributes))
        for row in 0..<tokens * heads {
          for i in 0..<width {
            let wanted = x[row * width + i] * (i < 2 * half ? 0.64 : 1)
            #expect(abs(back[row * width + i] - wanted) < 1e-5)
          }
        }
      }
    }

    @Test(arguments: Devices.backends)
    func reductions(_ device: TestBackend) throws {
      let backend = device.backend
      for n in [1, 33, 4096, 10_001] {
        var random = Random(UInt64(n))
        var x = random.floats(n)
        let tensor = try backend.tensor(x, [n])
        let sum = x.reduce(0.0) { $0 + Double($1) }
        let squares = x.reduce(0.0) { $0 + Double($1) * Double($1) }
        let (gotSum, gotSquares) = (try backend.sum(tensor), try backend.sumOfSquares(tensor))
        #expect(abs(gotSum - sum) < 1e-3)
        #expect(abs(gotSquares - squares) < 1e-5 * squares)
        #expect(try backend.firstNonFinite(tensor) == nil)
        for bad: Float in [.nan, -.infinity] {
          x[n / 2] = bad
          x[n - 1] = bad
          let place = try backend.firstNonFinite(try backend.tensor(x, [n]))
          #expect(place == n / 2)
        }
        let spoiled = try backend.sum(try backend.tensor(x, [n]))
        #expect(!spoiled.isFinite)
      }
      let huge = [Float](repeating: .greatestFiniteMagnitude, count: 4096)
      let place = try backend.firstNonFinite(try backend.tensor(huge, [4096]))
      #expect(place == nil)
    }
  }
}
