extension ComputeBackend {
  /// The default body: a row of ones times X.
  public func columnSums(_ x: Tensor, into output: Tensor) throws {
    let problem = MatmulProblem(
      batch: 1, m: 1, n: x.columnCount, k: x.rowCount, transposeA: false, transposeB: false, sharedB: true, alpha: 1,
      beta: 1, activation: nil, frozen: false, roundsOperands: false)
    try matmul(problem, try ones([1, x.rowCount]), x, bias: nil, addend: nil, into: output)
  }

  /// The default body: reads X and searches on the host; it waits for the device.
  public func argmaxRows(_ x: Tensor, into output: Tensor) throws {
    let values = try values(x)
    let width = x.columnCount
    let places = (0..<x.rowCount).map { row in
      let start = row * width
      var best = 0
      for column in 1..<max(width, 1) {
        let (value, largest) = (values[start + column], values[start + best])
        if largest.isNaN { break }
        if value.isNaN || value > largest { best = column }
      }
      return Int32(best)
    }
    try places.withUnsafeBytes { try write($0, to: output) }
  }
}
