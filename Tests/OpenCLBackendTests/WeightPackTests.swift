import Compute
import Testing

@testable import OpenCLBackend

extension OnDevice {
  /// Frozen weights that are kept in panels once or twice, and what was loaded no longer.
  @Suite struct WeightPacks {
    private static let sizes = [(16, 16), (48, 48), (97, 50), (50, 131), (7, 300), (192, 5)]

    private func open(_ copies: WeightCopies) throws -> OpenCLBackend? {
      let device = try #require(Devices.all.first)
      guard KernelVariant.cpu.reasonToSkip(on: device) == nil else { return nil }
      return try OpenCLBackend(device: device, options: OpenCLOptions(variant: .cpu, weightCopies: copies))
    }

    /// Products with every width of panels, odd sizes and types, against products of a weight that is never packed.
    @Test(arguments: WeightCopies.allCases) func productAndGradient(_ copies: WeightCopies) throws {
      guard let backend = try open(copies) else { return }
      for (number, (k, n)) in Self.sizes.enumerated() {
        for (dtype, rounds) in [(DType.f32, false), (.bf16, false), (.f16, false), (.f32, true), (.bf16, true)] {
          for transposeB in [false, true] {
            var random = Random(UInt64(number))
            let stored = Stored(random.floats(k * n), dtype)
            let weight = try stored.tensor(backend, transposeB ? [n, k] : [k, n])
            let twin = try stored.tensor(backend, transposeB ? [n, k] : [k, n])
            for m in [1, 2, 3, 13] {
              let x = try backend.tensor(random.floats(m * k), [m, k])
              let cotangent = try backend.tensor(random.floats(m * n), [m, n])
              func both(_ weight: Tensor, frozen: Bool) throws -> ([Float], [Float]) {
                let options = MatmulOptions(transposeB: transposeB, frozen: frozen, roundsOperands: rounds)
                return (
                  try backend.values(backend.matmul(x, weight, options)),
                  try backend.values(backend.matmulBackwardA(cotangent, weight, options))
                )
              }
              let (product, gradient) = try both(weight, frozen: true)
              let (expected, expectedGradient) = try both(twin, frozen: false)
              let name = "\(m)x\(n)x\(k) \(dtype) rounded \(rounds) transposed \(transposeB)"
              expectClose(product, expected.map(Double.init), absolute: 1e-6 * (4 + Double(k)), name)
              expectClose(
                gradient, expectedGradient.map(Double.init), absolute: 1e-6 * (4 + Double(n)), "gradient, \(name)")
              // The same bits every time.
              let again = try both(weight, frozen: true)
              #expect(again.0 == product && again.1 == gradient, "\(name)")
            }
            // What was loaded comes back as it was.
            var (got, loaded) = (
              [UInt8](repeating: 0, count: weight.byteCount), [UInt8](repeating: 1, count: weight.byteCount)
            )
            try got.withUnsafeMutableBytes { try backend.read(weight, into: $0) }
            try loaded.withUnsafeMutableBytes { try backend.read(twin, into: $0) }
            #expect(got == loaded, "\(k)x\(n) \(dtype)")
          }
        }
      }
    }

    /// Copies of a weight in memory after a product and its gradient: the panels, and what was loaded where they need it.
    @Test(arguments: WeightCopies.allCases) func memory(_ copies: WeightCopies) throws {
      guard let backend = try open(copies) else { return }
      for (dtype, rounds, isKept) in [(DType.f32, false, false), (.bf16, false, false), (.f32, true, true)] {
        let before = backend.memory.current
        let weight = try Stored([Float](repeating: 0.5, count: 480 * 480), dtype).tensor(backend, [480, 480])
        let loaded = backend.memory.current - before
        let x = try backend.tensor([Float](repeating: 1, count: 4 * 480), [4, 480])
        let extra = backend.memory.current - before - loaded
        let options = MatmulOptions(frozen: true, roundsOperands: rounds)
        _ = try backend.matmul(x, weight, options)
        _ = try backend.matmulBackwardA(x, weight, options)
        let panels = (dtype == .f32 && rounds ? loaded / 2 : loaded) * (copies == .once ? 1 : 2)
        let kept = backend.memory.current - before - extra
        // Sizes are rounded up by an eighth at most.
        let wanted = panels + (isKept ? loaded : 0)
        #expect(abs(kept - wanted) <= wanted / 8, "\(dtype) \(rounds): \(kept) bytes instead of \(wanted)")
      }
    }

    /// A table that is gathered from and multiplied with, as a tied embedding is, comes back once and stays.
    @Test(arguments: WeightCopies.allCases) func otherUses(_ copies: WeightCopies) throws {
      guard let backend = try open(copies) else { return }
      var random = Random(3)
      let values = random.floats(60 * 48)
      let table = try backend.tensor(values, [60, 48])
      let rows = try backend.indices([59, 0, 17])
      let x = try backend.tensor(random.floats(5 * 48), [5, 48])
      let cotangent = try backend.tensor(random.floats(5 * 60), [5, 60])
      let options = MatmulOptions(transposeB: true, frozen: true)
      var (products, usage) = ([[Float]](), [Int]())
      for _ in 0..<3 {
        let gathered = try backend.values(backend.gatherRows(table, rows))
        let chosen: [Float] = rows.values.flatMap { row in values[Int(row) * 48..<(Int(row) + 1) * 48] }
        #expect(gathered == chosen)
        let part = try backend.values(backend.scale(try table.rows(20..<22), by: 1))
        let slice = Array(values[960..<1056])
        #expect(part == slice)
        products.append(try backend.values(backend.matmul(x, table, options)))
        products.append(try backend.values(backend.matmulBackwardA(cotangent, table, options)))
        usage.append(backend.memory.current)
      }
      #expect(products[0] == products[2] && products[2] == products[4])
      #expect(products[1] == products[3] && products[3] == products[5])
      #expect(usage[1] > usage[0] && usage[1] == usage[2])
      // Written anew, it is packed anew.
      try [Float](repeating: 0, count: 60 * 48).withUnsafeBytes { try backend.write($0, to: table) }
      #expect(try backend.values(backend.matmul(x, table, options)).allSatisfy { $0 == 0 })
    }
  }
}
