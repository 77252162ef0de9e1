import Compute
import Testing

@testable import OpenCLBackend

extension OnDevice {
  /// Frozen weights that products of few rows keep in panels, and what was loaded no longer.
  @Suite struct WeightPacks {
    private static let sizes = [(16, 16), (48, 48), (97, 50), (50, 131), (7, 300), (192, 5)]

    private func open() throws -> OpenCLBackend? {
      let device = try #require(Devices.all.first)
      guard KernelVariant.cpu.reasonToSkip(on: device) == nil else { return nil }
      return try OpenCLBackend(device: device, options: OpenCLOptions(variant: .cpu))
    }

    /// Products with every width of panels, odd sizes and types, against products of a weight that is never packed.
    @Test func productAndGradient() throws {
      guard let backend = try open() else { return }
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

    /// Whether a weight is packed already changes no bit of a product.
    @Test func sameBitsWithAndWithoutPanels() throws {
      guard let backend = try open() else { return }
      for (number, (k, n)) in (Self.sizes + [(2100, 50), (33, 1100)]).enumerated() {
        for (dtype, rounds) in [(DType.f32, false), (.bf16, false), (.f16, false), (.f32, true), (.bf16, true)] {
          for transposeB in [false, true] {
            var random = Random(UInt64(number))
            let weight = try Stored(random.floats(k * n), dtype).tensor(backend, transposeB ? [n, k] : [k, n])
            let x = try backend.tensor(random.floats(21 * k), [21, k])
            let cotangent = try backend.tensor(random.floats(21 * n), [21, n])
            let options = MatmulOptions(transposeB: transposeB, frozen: true, roundsOperands: rounds)
            func both(rows: Int) throws -> [[Float]] {
              [
                try backend.values(backend.matmul(x.rows(0..<rows), weight, options)),
                try backend.values(backend.matmulBackwardA(cotangent.rows(0..<rows), weight, options)),
              ]
            }
            let packing = try both(rows: 21)
            #expect(backend.storage(of: weight).packs.isEmpty)
            _ = try both(rows: 3)
            #expect(backend.storage(of: weight).packs.count == 2)
            let packed = try both(rows: 21)
            #expect(packing == packed, "\(n)x\(k) \(dtype) rounded \(rounds) transposed \(transposeB)")
          }
        }
      }
    }

    /// Copies of a weight in memory: the panels of few rows, and what was loaded where they need it or many rows do.
    @Test func memory() throws {
      guard let backend = try open() else { return }
      for (dtype, rounds, isKept) in [(DType.f32, false, false), (.bf16, false, false), (.f32, true, true)] {
        for rows in [4, 20] {
          let before = backend.memory.current
          let weight = try Stored([Float](repeating: 0.5, count: 480 * 480), dtype).tensor(backend, [480, 480])
          let loaded = backend.memory.current - before
          let x = try backend.tensor([Float](repeating: 1, count: rows * 480), [rows, 480])
          let extra = backend.memory.current - before - loaded
          let options = MatmulOptions(frozen: true, roundsOperands: rounds)
          _ = try backend.matmul(x, weight, options)
          _ = try backend.matmulBackwardA(x, weight, options)
          let panels = rows > 16 ? 0 : (dtype == .f32 && rounds ? loaded / 2 : loaded) * 2
          let kept = backend.memory.current - before - extra
          // Sizes are rounded up by an eighth at most.
          let wanted = panels + (isKept || rows > 16 ? loaded : 0)
          #expect(abs(kept - wanted) <= wanted / 8, "\(rows) \(dtype) \(rounds): \(kept) bytes instead of \(wanted)")
        }
      }
    }

    /// A table that is gathered from and multiplied with, as a tied embedding is, comes back once and stays.
    @Test func otherUses() throws {
      guard let backend = try open() else { return }
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
