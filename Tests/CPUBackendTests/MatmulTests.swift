import Compute
import Foundation
import Testing

@testable import CPUBackend

@Suite struct MatmulTests {
  struct Case {
    var m: Int
    var n: Int
    var k: Int
    var options = MatmulOptions()
    var dtype = DType.f32
    var batch: Int?
    var sharedB = true
    var hasBias = false
    var hasAddend = false
  }

  /// Sizes on both sides of every tile boundary, each with another combination of what else there is.
  static let cases: [Case] = {
    var cases: [Case] = []
    let sizes = [
      (1, 1, 1), (1, 47, 33), (2, 48, 16), (3, 49, 17), (7, 33, 31), (8, 64, 65), (9, 15, 100), (15, 16, 15),
      (16, 100, 48), (17, 63, 47), (31, 65, 32), (33, 31, 1), (49, 129, 20), (1, 129, 100), (5, 20, 0), (20, 50, 0),
      (18, 17, 1040), (4, 50, 1040), (65, 2, 9), (100, 1, 64),
      // Few rows: both sides of the blocks of k (96) and of the columns (96, 256, 768, 8192) that a task takes, and
      // every height of a tile over long rows.
      (1, 2049, 97), (4, 257, 96), (3, 2065, 193), (16, 2050, 385), (5, 300, 768), (16, 250, 391), (2, 8200, 9),
      (16, 1537, 96), (9, 817, 97), (8, 97, 300), (13, 99, 520), (6, 95, 257), (11, 784, 129),
      // Outputs that are written past the caches; of several blocks of k, the last of which is.
      (259, 272, 33), (258, 256, 1040),
    ]
    let activations: [Activation?] = [nil, .geluTanh, nil, .relu, nil, .gelu, .silu]
    for (i, (m, n, k)) in sizes.enumerated() {
      for transposes in 0..<4 {
        let index = i * 4 + transposes
        cases.append(
          Case(
            m: m, n: n, k: k,
            options: MatmulOptions(
              transposeA: transposes & 1 == 1, transposeB: transposes & 2 == 2, alpha: index % 3 == 0 ? -0.75 : 1,
              beta: index % 2 == 0 ? 0.5 : 1, activation: activations[index % 7], frozen: index % 4 == 1,
              roundsOperands: index % 5 == 2),
            dtype: [.f32, .bf16, .f16][index % 3], batch: index % 6 == 4 ? 3 : nil, sharedB: index % 12 < 6,
            hasBias: index % 4 < 2, hasAddend: index % 8 > 4))
      }
    }
    return cases
  }()

  /// Few rows of rounded operands with bf16 weights, read in place as pairs where the processor multiplies those: every
  /// height of a tile, ends of vectors and strips, odd k, both sides of the blocks of k, several matrices.
  static let fewRoundedRows: [Case] = {
    var cases: [Case] = []
    for m in 4...17 {
      for (n, k) in [(96, 128), (145, 131), (16, 1), (211, 31), (1000, 33), (32, 300)] {
        for transposeB in [false, true] {
          let index = cases.count
          cases.append(
            Case(
              m: m, n: n, k: k + m % 3,
              options: MatmulOptions(
                transposeA: index % 7 == 3, transposeB: transposeB, alpha: index % 3 == 0 ? -0.75 : 1,
                beta: index % 2 == 0 ? 0.5 : 1, activation: index % 5 == 4 ? .relu : nil, roundsOperands: true),
              dtype: .bf16, batch: index % 4 == 1 ? 2 : nil, sharedB: index % 8 < 4, hasBias: index % 4 < 2,
              hasAddend: index % 6 > 3))
        }
      }
    }
    return cases
  }()

  /// A row of more than sixteen has the same bits whatever rows there are beside it.
  @Test(arguments: Variant.oneThread) func companyChangesNoBit(_ variant: Variant) throws {
    let backend = try variant.backend(threads: 2)
    for (n, k) in [(50, 30), (100, 1030), (96, 2100)] {
      for transposeB in [false, true] {
        var numbers = Numbers(UInt64(n))
        let all = numbers.normal(130 * k)
        let b = try backend.tensor(numbers.normal(n * k), transposeB ? [n, k] : [k, n])
        let wanted = try backend.values(
          backend.matmul(backend.tensor(all, [130, k]), b, MatmulOptions(transposeB: transposeB)))
        for m in [17, 40, 49, 70] {
          let some = try backend.values(
            backend.matmul(
              backend.tensor(Array(all[..<(m * k)]), [m, k]), b, MatmulOptions(transposeB: transposeB)))
          let isSame = some.elementsEqual(wanted[..<(m * n)])
          #expect(isSame, "\(m) rows of n \(n), k \(k), transposed \(transposeB)")
        }
      }
    }
  }

  @Test(arguments: Variant.oneThread) func againstDouble(_ variant: Variant) throws {
    let many = try variant.backend(threads: 5)
    let backend = try variant.backend()
    for (index, c) in (Self.cases + Self.fewRoundedRows).enumerated() {
      var numbers = Numbers(UInt64(index))
      let (batch, o) = (c.batch ?? 1, c.options)
      let leading = c.batch.map { [$0] } ?? []
      let a = numbers.normal(batch * c.m * c.k)
      let b = numbers.normal((c.sharedB ? 1 : batch) * c.k * c.n)
      let bias = c.hasBias ? numbers.normal(c.n) : nil
      let addend = c.hasAddend ? numbers.normal(batch * c.m * c.n) : nil
      func run(_ backend: CPUBackend) throws -> [Float] {
        let shapeA = Shape(leading + (o.transposeA ? [c.k, c.m] : [c.m, c.k]))
        let shapeB = Shape((c.sharedB ? [] : leading) + (o.transposeB ? [c.n, c.k] : [c.k, c.n]))
        return try backend.values(
          try backend.matmul(
            try backend.tensor(a, shapeA), try backend.narrowed(b, shapeB, c.dtype), o,
            bias: try bias.map { try backend.tensor($0, [c.n]) },
            addend: try addend.map { try backend.tensor($0, Shape(leading + [c.m, c.n])) }))
      }
      var expected: [Double] = []
      var bound = 0.0
      func rounded(_ value: Double) -> Double { o.roundsOperands ? stored(Float(value), .bf16) : value }
      for matrix in 0..<batch {
        for i in 0..<c.m {
          for j in 0..<c.n {
            var sum = 0.0
            var size = 0.0
            for p in 0..<c.k {
              let left = a[matrix * c.m * c.k + (o.transposeA ? p * c.m + i : i * c.k + p)]
              let right = b[(c.sharedB ? 0 : matrix) * c.k * c.n + (o.transposeB ? j * c.k + p : p * c.n + j)]
              let product = rounded(Double(left)) * rounded(stored(right, c.dtype))
              sum += product
              size += abs(product)
            }
            var value = Double(o.alpha) * sum + Double(bias?[j] ?? 0)
            if let addend { value += Double(o.beta) * Double(addend[(matrix * c.m + i) * c.n + j]) }
            if let activation = o.activation { value = Reference.activation(activation, value) }
            expected.append(value)
            bound = max(bound, size)
          }
        }
      }
      let got = try run(backend)
      // A sum of k products in f32 in any order is off by some roundings of the sum of magnitudes.
      let tolerance = (8 + Double(c.k).squareRoot()) * 0x1p-24 * (bound + 4)
      expectClose(got, expected, absolute: tolerance, "case \(index): \(c)")
      #expect(try run(many).map(\.bitPattern) == got.map(\.bitPattern), "threads change case \(index)")
    }
  }

  @Test(arguments: Variant.oneThread) func accumulatesInPlace(_ variant: Variant) throws {
    let backend = try variant.backend()
    var numbers = Numbers(7)
    // More than one block of k, so that the accumulator is read and written several times.
    let (m, n, k) = (19, 21, 1100)
    let a = try backend.normal([k, m], &numbers), b = try backend.normal([k, n], &numbers)
    let sum = try backend.normal([m, n], &numbers)
    let before = try backend.values(sum)
    try backend.accumulateMatmul(a, b, MatmulOptions(transposeA: true, alpha: 2), onto: sum)
    let (x, y) = (try backend.doubles(a), try backend.doubles(b))
    var expected = before.map(Double.init)
    for p in 0..<k { for i in 0..<m { for j in 0..<n { expected[i * n + j] += 2 * x[p * m + i] * y[p * n + j] } } }
    expectClose(try backend.values(sum), expected, absolute: 1e-3)
  }

  @Test(arguments: Variant.oneThread) func nonFiniteValuesPass(_ variant: Variant) throws {
    let backend = try variant.backend()
    for m in [2, 40] {
      for rounds in [false, true] {
        var a = [Float](repeating: 1, count: m * 50)
        a[0] = .nan
        a[51] = .infinity
        let product = try backend.values(
          try backend.matmul(
            try backend.tensor(a, [m, 50]), try backend.tensor([Float](repeating: 2, count: 50 * 20), [50, 20]),
            MatmulOptions(roundsOperands: rounds)))
        #expect(product[0..<20].allSatisfy { $0.isNaN })
        #expect(product[20..<40].allSatisfy { $0 == .infinity })
        #expect(product[40...].allSatisfy { $0 == 100 })
      }
    }
  }
}
