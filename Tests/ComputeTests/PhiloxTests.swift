import Compute
import Testing

@Suite struct PhiloxTests {
  /// The known answers that accompany the generator's reference implementation (Random123, `kat_vectors`).
  @Test func knownAnswers() {
    #expect(
      Philox.block(seed: 0, stream: 0, block: 0) == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    #expect(
      Philox.block(seed: .max, stream: .max, block: .max)
        == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    // Counter 243f6a88 85a308d3 13198a2e 03707344, key a4093822 299f31d0: the digits of pi.
    #expect(
      Philox.block(seed: 0x299f_31d0_a409_3822, stream: 0x0370_7344_1319_8a2e, block: 0x85a3_08d3_243f_6a88)
        == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test func indexIsThePlace() {
    var generator = Philox(seed: 5, stream: 9)
    let first = (0..<10).map { _ in generator.nextBits() }
    for (index, bits) in first.enumerated() {
      var there = Philox(seed: 5, stream: 9, index: UInt64(index))
      #expect(there.nextBits() == bits)
      #expect(Philox.block(seed: 5, stream: 9, block: UInt64(index / 4))[index % 4] == bits)
    }
  }

  @Test func uniformsAreUniform() {
    var generator = Philox(seed: 1)
    let values = (0..<20000).map { _ in Double(generator.nextUniform()) }
    #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
    // Mean 1/2 and variance 1/12 within five standard errors.
    let mean = values.reduce(0, +) / 20000
    #expect(abs(mean - 0.5) < 5 * (1 / 12.0 / 20000).squareRoot())
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20000
    #expect(abs(variance - 1 / 12.0) < 5 * (1 / 180.0 / 20000).squareRoot())
  }

  @Test func normalsAreNormal() {
    var generator = Philox(seed: 2)
    let values = (0..<20000).map { _ in Double(generator.nextNormal()) }
    let mean = values.reduce(0, +) / 20000
    #expect(abs(mean) < 5 * (1 / 20000.0).squareRoot())
    let variance = values.reduce(0) { $0 + $1 * $1 } / 20000
    #expect(abs(variance - 1) < 5 * (2 / 20000.0).squareRoot())
    let inside = Double(values.count { abs($0) < 1 }) / 20000
    #expect(abs(inside - 0.6827) < 0.02)
  }

  @Test func indicesAreEvenAndPermutationsWhole() {
    var generator = Philox(seed: 3)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<7000 { counts[generator.nextIndex(below: 7)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 1000) < 150 })
    #expect(generator.nextIndex(below: 1) == 0)
    #expect(generator.permutation(of: 100).sorted() == Array(0..<100))
    #expect(generator.permutation(of: 0).isEmpty)
    #expect(generator.permutation(of: 1) == [0])
  }
}
