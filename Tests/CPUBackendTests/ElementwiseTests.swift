import Compute
import Foundation
import Testing

@testable import CPUBackend

@Suite struct ElementwiseTests {
  @Test(arguments: Variant.all) func activations(_ variant: Variant) throws {
    let backend = try variant.backend()
    let x = stride(from: Float(-12), through: 12, by: 0.0173).map { $0 } + [0, -0.0, 1e-30, -1e-30, 30, -30]
    var numbers = Numbers(1)
    let (c, up) = (numbers.normal(x.count), numbers.normal(x.count))
    let shape: Shape = [x.count]
    for kind in Activation.allCases {
      let input = try backend.tensor(x, shape)
      let (cotangent, other) = (try backend.tensor(c, shape), try backend.tensor(up, shape))
      let value = x.map { Reference.activation(kind, Double($0)) }
      let slope = x.map { Reference.slope(kind, Double($0)) }
      let label = kind.rawValue
      expectClose(
        try backend.values(try backend.activation(kind, input)), value, absolute: 2e-7, relative: 1e-6, label)
      expectClose(
        try backend.values(try backend.activationBackward(kind, cotangent, x: input)),
        zip(slope, c).map { $0 * Double($1) }, absolute: 2e-6, relative: 1e-6, label)
      expectClose(
        try backend.values(try backend.gated(kind, gate: input, up: other)),
        zip(value, up).map { $0 * Double($1) }, absolute: 6e-7, relative: 1e-6, label)
      let gradients = try backend.gatedBackward(kind, cotangent, gate: input, up: other)
      expectClose(
        try backend.values(gradients.gate), x.indices.map { slope[$0] * Double(c[$0]) * Double(up[$0]) },
        absolute: 6e-6, relative: 1e-6, label)
      expectClose(
        try backend.values(gradients.up), x.indices.map { value[$0] * Double(c[$0]) }, absolute: 6e-7,
        relative: 1e-6, label)
    }
  }

  /// Where nearly everything cancels in 1 + erf: errors against the value itself, not against x.
  ///
  /// Rounding x^2 / 2 alone costs x^2 / 2 units.
  @Test(arguments: Variant.oneThread) func geluKeepsItsDigitsFarBelow0(_ variant: Variant) throws {
    let backend = try variant.backend()
    let x = stride(from: Float(-12), through: -0.01, by: 0.0137).map { $0 }
    let values = try backend.values(try backend.activation(.gelu, try backend.tensor(x, [x.count])))
    for (x, got) in zip(x, values) {
      let expected = Double(x) * 0.5 * erfc(-Double(x) / 2.0.squareRoot())
      let tolerance = 0x1p-24 * (8 + 4 * Double(x * x)) * abs(expected) + 0x1p-126
      guard abs(Double(got) - expected) <= tolerance else {
        Issue.record("gelu(\(x)) is \(got), not \(expected)")
        return
      }
    }
  }

  @Test(arguments: Variant.oneThread) func activationsFarOut(_ variant: Variant) throws {
    let backend = try variant.backend()
    let x: [Float] = [.nan, .infinity, 1e4, 1e20, 3e38, -1e4, -1e20, -3e38]
    for kind in Activation.allCases {
      let input = try backend.tensor(x, [x.count])
      let ones = try backend.tensor([Float](repeating: 1, count: x.count), [x.count])
      let y = try backend.values(try backend.activation(kind, input))
      let slope = try backend.values(try backend.activationBackward(kind, ones, x: input))
      if kind == .tanh {
        #expect(y[0].isNaN && y[1...4].allSatisfy { $0 == 1 } && y[5...7].allSatisfy { $0 == -1 }, "\(y)")
        #expect(slope[0].isNaN && slope[1...7].allSatisfy { abs($0) < 1e-30 }, "\(slope)")
        continue
      }
      #expect(y[0].isNaN && y[1...4].elementsEqual(x[1...4]) && y[5...7].allSatisfy { $0 == 0 }, "\(kind): \(y)")
      #expect(
        slope[0].isNaN && slope[2...4].allSatisfy { $0 == 1 } && slope[5...7].allSatisfy { $0 == 0 },
        "\(kind): \(slope)")
    }
    let zero = try backend.activationBackward(.relu, try backend.tensor([5], [1]), x: try backend.tensor([0], [1]))
    #expect(try backend.values(zero) == [0])
  }

  @Test(arguments: Variant.all) func arithmetic(_ variant: Variant) throws {
    let backend = try variant.backend()
    for (rows, n) in [(1, 1), (3, 17), (5, 48), (2, 33), (700, 97)] {
      var numbers = Numbers(UInt64(n))
      let a = try backend.normal([rows, n], &numbers), b = try backend.normal([rows, n], &numbers)
      let row = try backend.normal([n], &numbers), factors = try backend.normal([rows], &numbers)
      let (x, y) = (try backend.values(a), try backend.values(b))
      let (r, f) = (try backend.values(row), try backend.values(factors))
      #expect(try backend.values(try backend.add(a, b)) == zip(x, y).map(+))
      #expect(try backend.values(try backend.multiply(a, b)) == zip(x, y).map(*))
      #expect(try backend.values(try backend.add(a, row)) == x.indices.map { x[$0] + r[$0 % n] })
      #expect(try backend.values(try backend.multiply(a, row)) == x.indices.map { x[$0] * r[$0 % n] })
      #expect(try backend.values(try backend.scale(a, by: 0.3)) == x.map { $0 * 0.3 })
      #expect(try backend.values(try backend.scaleRows(a, by: factors)) == x.indices.map { x[$0] * f[$0 / n] })
      let sum = try backend.duplicate(a)
      try backend.addScaled(b, -2.5, onto: sum)
      expectClose(
        try backend.values(sum), zip(x, y).map { Double($0) - 2.5 * Double($1) }, absolute: 1e-6)
      try backend.fill(sum, with: 4)
      #expect(try backend.values(sum).allSatisfy { $0 == 4 })
    }
  }

  @Test(arguments: Variant.all) func dropoutDrawsPhilox(_ variant: Variant) throws {
    let backend = try variant.backend()
    var numbers = Numbers(3)
    let x = numbers.normal(40_003)
    let y = try backend.values(
      try backend.dropout(try backend.tensor(x, [x.count]), probability: 0.3, seed: 11, stream: 5))
    var philox = Philox(seed: 11, stream: 5)
    for i in x.indices {
      let expected = philox.nextUniform() >= 0.3 ? x[i] / 0.7 : 0
      guard y[i] == expected else {
        Issue.record("at \(i) \(y[i]), not \(expected)")
        return
      }
    }
  }
}
