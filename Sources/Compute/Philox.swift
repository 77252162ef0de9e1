import Foundation

/// The counter-based generator Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011).
///
/// A number depends on (seed, stream, index) alone, so the host and every device draw the same ones in any order.
public struct Philox: Sendable, Hashable, Codable {
  public var seed: UInt64
  /// Separates uses of one seed: initialisation, shuffling, dropout of a layer, sampling.
  public var stream: UInt64
  /// The next number's index.
  public var index: UInt64

  public init(seed: UInt64, stream: UInt64 = 0, index: UInt64 = 0) {
    self.seed = seed
    self.stream = stream
    self.index = index
  }

  /// The four 32-bit words of one block.
  ///
  /// The counter is (block, stream), the key is the seed; low words first.
  public static func block(seed: UInt64, stream: UInt64, block: UInt64) -> SIMD4<UInt32> {
    var counter = SIMD4<UInt32>(
      UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32),
      UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32))
    var key0 = UInt32(truncatingIfNeeded: seed)
    var key1 = UInt32(truncatingIfNeeded: seed >> 32)
    for _ in 0..<10 {
      let product0 = UInt64(0xD251_1F53) * UInt64(counter[0])
      let product1 = UInt64(0xCD9E_8D57) * UInt64(counter[2])
      counter = SIMD4(
        UInt32(truncatingIfNeeded: product1 >> 32) ^ counter[1] ^ key0,
        UInt32(truncatingIfNeeded: product1),
        UInt32(truncatingIfNeeded: product0 >> 32) ^ counter[3] ^ key1,
        UInt32(truncatingIfNeeded: product0))
      key0 &+= 0x9E37_79B9
      key1 &+= 0xBB67_AE85
    }
    return counter
  }

  /// The next 32 random bits: word `index % 4` of block `index / 4`.
  public mutating func nextBits() -> UInt32 {
    let words = Self.block(seed: seed, stream: stream, block: index / 4)
    let word = words[Int(index % 4)]
    index += 1
    return word
  }

  /// Uniform on [0, 1) with 24 random bits.
  public mutating func nextUniform() -> Float { Float(nextBits() >> 8) * 0x1p-24 }

  /// Standard normal by the Box-Muller transform, computed in Double; takes two words.
  public mutating func nextNormal() -> Float {
    let first = (Double(nextBits()) + 1) * 0x1p-32
    let second = Double(nextBits()) * 0x1p-32
    return Float((-2 * log(first)).squareRoot() * cos(2 * Double.pi * second))
  }

  /// Uniform on `0..<bound`, without bias.
  public mutating func nextIndex(below bound: Int) -> Int {
    precondition(bound > 0 && bound <= Int(UInt32.max))
    let limit = UInt32.max - (UInt32.max % UInt32(bound) + 1) % UInt32(bound)
    while true {
      let bits = nextBits()
      if bits <= limit { return Int(bits % UInt32(bound)) }
    }
  }

  /// A random order of `0..<count` (Fisher-Yates).
  public mutating func permutation(of count: Int) -> [Int] {
    var order = Array(0..<count)
    guard count > 1 else { return order }
    for last in stride(from: count - 1, to: 0, by: -1) {
      order.swapAt(last, nextIndex(below: last + 1))
    }
    return order
  }
}
