import Compute

/// Normal numbers that depend on the seed alone.
public func normals(_ count: Int, seed: UInt64, deviation: Float = 1) -> [Float] {
  var generator = Philox(seed: seed, stream: 0x7E57)
  return (0..<count).map { _ in deviation * generator.nextNormal() }
}

/// Numbers uniform on `range` that depend on the seed alone.
public func uniforms(_ count: Int, in range: ClosedRange<Float> = 0...1, seed: UInt64) -> [Float] {
  var generator = Philox(seed: seed, stream: 0x7E58)
  return (0..<count).map { _ in range.lowerBound + (range.upperBound - range.lowerBound) * generator.nextUniform() }
}

/// Row numbers in `0..<bound`, with repetitions, that depend on the seed alone.
public func randomIndices(_ count: Int, below bound: Int, seed: UInt64) -> [Int32] {
  var generator = Philox(seed: seed, stream: 0x7E59)
  return (0..<count).map { _ in Int32(generator.nextIndex(below: bound)) }
}
