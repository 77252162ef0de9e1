import Compute

extension OpenCLBackend {
  // MARK: - Softmax and cross-entropy

  public func softmax(_ x: Tensor, mask: Tensor?, scale: Float, into output: Tensor) throws {
    try runRows(
      "softmax.cl", "softmax", rows: x.rowCount,
      [
        .tensor(x), .optional(mask), .float(scale), .tensor(output), .size(x.rowCount), .int(x.columnCount),
      ])
  }

  public func softmaxBackward(_ cotangent: Tensor, y: Tensor, scale: Float, into output: Tensor) throws {
    try runRows(
      "softmax.cl", "softmax_backward", rows: y.rowCount,
      [
        .tensor(cotangent), .tensor(y), .float(scale), .tensor(output), .size(y.rowCount), .int(y.columnCount),
      ])
  }

  public func crossEntropy(
    _ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor
  ) throws {
    try runRows(
      "softmax.cl", "cross_entropy", rows: logits.rowCount,
      [
        .tensor(logits), .tensor(labels.tensor), .int(Int(ignoreIndex)), .tensor(losses), .tensor(logSumExp),
        .size(logits.rowCount), .int(logits.columnCount),
      ])
  }

  public func crossEntropyBackward(
    _ cotangent: Tensor, logits: Tensor, _ labels: Indices, ignoreIndex: Int32, logSumExp: Tensor,
    into output: Tensor
  ) throws {
    try runRows(
      "softmax.cl", "cross_entropy_backward", rows: logits.rowCount,
      [
        .tensor(cotangent), .tensor(logits), .tensor(labels.tensor), .int(Int(ignoreIndex)), .tensor(logSumExp),
        .tensor(output), .size(logits.rowCount), .int(logits.columnCount),
      ])
  }

  // MARK: - Normalisation

  public func layerNorm(
    _ x: Tensor, weight: Tensor, bias: Tensor?, epsilon: Float, into output: Tensor, mean: Tensor, rstd: Tensor
  ) throws {
    try runRows(
      "normalization.cl", "layer_norm", rows: x.rowCount,
      [
        .tensor(x), .tensor(weight), .optional(bias), .float(epsilon), .tensor(output), .tensor(mean),
        .tensor(rstd), .size(x.rowCount), .int(x.columnCount),
      ])
  }

  public func layerNormBackward(
    _ cotangent: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, into output: Tensor
  ) throws {
    try runRows(
      "normalization.cl", "layer_norm_backward", rows: x.rowCount,
      [
        .tensor(cotangent), .tensor(x), .tensor(weight), .tensor(mean), .tensor(rstd), .tensor(output),
        .size(x.rowCount), .int(x.columnCount),
      ])
  }

  public func layerNormBackwardParameters(
    _ cotangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor?
  ) throws {
    try columnSums(.normalized(y: x, mean: mean, rstd: rstd), cotangent, into: weight)
    if let bias { try columnSums(.value, cotangent, into: bias) }
  }

  public func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Float, into output: Tensor, rstd: Tensor) throws {
    try runRows(
      "normalization.cl", "rms_norm", rows: x.rowCount,
      [
        .tensor(x), .tensor(weight), .float(epsilon), .tensor(output), .tensor(rstd), .size(x.rowCount),
        .int(x.columnCount),
      ])
  }

  public func rmsNormBackward(_ cotangent: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, into output: Tensor)
    throws
  {
    try runRows(
      "normalization.cl", "rms_norm_backward", rows: x.rowCount,
      [
        .tensor(cotangent), .tensor(x), .tensor(weight), .tensor(rstd), .tensor(output), .size(x.rowCount),
        .int(x.columnCount),
      ])
  }

  public func rmsNormBackwardWeight(_ cotangent: Tensor, x: Tensor, rstd: Tensor, into output: Tensor) throws {
    try columnSums(.normalized(y: x, mean: nil, rstd: rstd), cotangent, into: output)
  }

  // MARK: - Column sums

  /// What columns.cl adds up.
  enum ColumnTerm {
    case value
    case square
    /// `x (y - mean) rstd`
    case normalized(y: Tensor, mean: Tensor?, rstd: Tensor)
  }

  public func columnSums(_ x: Tensor, into output: Tensor) throws {
    try columnSums(.value, x, into: output)
  }

  /// Sums over chunks of rows, then over the chunks.
  func columnSums(_ term: ColumnTerm, _ x: Tensor, into output: Tensor) throws {
    let chunk = 128
    let (rows, columns) = (x.rowCount, x.columnCount)
    let chunks = (rows + chunk - 1) / chunk
    let partial = chunks > 1 ? try allocate([chunks, columns], .f32) : output
    var arguments: [KernelArgument]
    switch term {
    case .value: arguments = [.int(0), .tensor(x), .optional(nil), .optional(nil), .optional(nil)]
    case .square: arguments = [.int(1), .tensor(x), .optional(nil), .optional(nil), .optional(nil)]
    case .normalized(let y, let mean, let rstd):
      arguments = [.int(2), .tensor(x), .tensor(y), .optional(mean), .tensor(rstd)]
    }
    arguments += [.tensor(partial), .size(rows), .int(columns), .int(chunk)]
    let groups = (columns + lanes.group * lanes.width - 1) / (lanes.group * lanes.width)
    try run(
      lanesProgram("columns.cl"), "column_sums", groups: [groups, chunks], local: [lanes.group, 1], arguments)
    if chunks > 1 { try columnSums(.value, partial, into: output) }
  }
}
