extension ComputeBackend {
  /// The default body: draws the numbers on the host, then gathers, scales and scatters the elements that are kept.
  ///
  /// Elements that are dropped become 0 even if they were not finite.
  ///
  /// - Throws: `ComputeError.unsupported` for more than 2^31 - 1 elements.
  public func dropout(_ x: Tensor, probability: Float, seed: UInt64, stream: UInt64, into output: Tensor) throws {
    guard let count = Int32(exactly: x.count) else {
      throw ComputeError.unsupported(
        operation: "dropout", "the default body counts elements in 32 bits, not \(x.count)")
    }
    var generator = Philox(seed: seed, stream: stream)
    let kept = try indices((0..<count).filter { _ in generator.nextUniform() >= probability })
    let values = kept.count > 0 ? try gatherRows(try x.reshaped([x.count, 1]), kept) : nil
    try fill(output, with: 0)
    guard let values else { return }
    try scale(values, by: 1 / (1 - probability), into: values)
    try scatterRows(values, kept, into: try output.reshaped([x.count, 1]))
  }
}
