extension ComputeBackend {
  /// The default body: the row sums of `cotangent y` by a matrix product, then `y (cotangent - sums)`, scaled.
  public func softmaxBackward(_ cotangent: Tensor, y: Tensor, scale factor: Float, into output: Tensor) throws {
    let (cotangent, y, output) = (try asMatrix(cotangent), try asMatrix(y), try asMatrix(output))
    try subtract(try rowDots(cotangent, y), fromRowsOf: cotangent, into: output)
    try multiply(output, y, into: output)
    if factor != 1 { try scale(output, by: factor, into: output) }
  }

  /// The default body: `softmax`, 1 taken from the place of each label, rows scaled, zeros written to ignored rows.
  ///
  /// It does not need `logSumExp`: softmax finds it again.
  ///
  /// - Throws: `ComputeError.unsupported` for more than 2^31 - 1 logits.
  public func crossEntropyBackward(
    _ cotangent: Tensor, logits: Tensor, _ labels: Indices, ignoreIndex: Int32, logSumExp: Tensor, into output: Tensor
  ) throws {
    guard Int32(exactly: logits.count) != nil else {
      throw ComputeError.unsupported(
        operation: "crossEntropyBackward", "the default body counts logits in 32 bits, not \(logits.count)")
    }
    try softmax(logits, mask: nil, scale: 1, into: output)
    let classes = logits.columnCount
    let (counted, ignored) = (
      labels.values.indices.filter { labels.values[$0] != ignoreIndex },
      labels.values.indices.filter { labels.values[$0] == ignoreIndex }
    )
    if !counted.isEmpty {
      let places = try indices(counted.map { Int32($0 * classes) + labels.values[$0] })
      let taken = try allocate([counted.count, 1], .f32)
      try fill(taken, with: -1)
      try scatterAddRows(taken, places, onto: try output.reshaped([output.count, 1]))
      try scaleRows(output, by: cotangent, into: output)
    }
    if !ignored.isEmpty {
      let rows = try indices(ignored.map { Int32($0) })
      try scatterRows(try zeros([ignored.count, classes]), rows, into: output)
    }
  }
}
