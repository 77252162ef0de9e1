/// Cross-entropy of softmax over rows of logits.
public protocol CrossEntropyKernels: AnyObject {
  /// `losses[t] = log(sum_j exp(logits[t, j])) - logits[t, labels[t]]`, and 0 in rows whose label is `ignoreIndex`.
  ///
  /// - Parameters:
  ///   - logits: `[T, V]`.
  ///   - losses: receives `[T]`.
  ///   - logSumExp: receives `[T]`, in every row.
  func crossEntropy(
    _ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor) throws

  /// `output[t, j] = cotangent[t] (exp(logits[t, j] - logSumExp[t]) - (j == labels[t]))`; zeros in ignored rows.
  ///
  /// - Parameters:
  ///   - cotangent: `[T]`, the gradient of each row's loss.
  ///   - output: `[T, V]`; may be `logits` itself.
  func crossEntropyBackward(
    _ cotangent: Tensor, logits: Tensor, _ labels: Indices, ignoreIndex: Int32, logSumExp: Tensor, into output: Tensor)
    throws
}

/// The losses of rows, and what the backward pass needs of them.
public struct CrossEntropyResult {
  /// `[T]`; 0 in ignored rows.
  public let losses: Tensor
  /// Shape `[T]`.
  public let logSumExp: Tensor
}

/// The losses of rows of hidden states, fused with the output projection.
public struct LinearCrossEntropyResult {
  /// `[T]`; 0 in ignored rows.
  public let losses: Tensor
  /// The gradient of each row's own loss with respect to its hidden state, `[T, d]`, if it was asked for.
  ///
  /// Row t of the full gradient is this row times the cotangent of loss t, so the logits need not be computed again.
  public let unitGradient: Tensor?
}

extension ComputeBackend {
  /// Losses of rows of logits.
  ///
  /// - Parameters:
  ///   - logits: `[T, V]`.
  ///   - labels: `[T]`; a row with `ignoreIndex` has no loss.
  public func crossEntropy(_ logits: Tensor, _ labels: Indices, ignoreIndex: Int32 = -100) throws
    -> CrossEntropyResult
  {
    try requireLabels(logits, labels, classes: logits.columnCount, ignoreIndex, "crossEntropy")
    let result = CrossEntropyResult(
      losses: try allocate([labels.count], .f32), logSumExp: try allocate([labels.count], .f32))
    if labels.count > 0 {
      try crossEntropy(
        logits, labels, ignoreIndex: ignoreIndex, losses: result.losses, logSumExp: result.logSumExp)
    }
    return result
  }

  /// The gradient of `crossEntropy` with respect to the logits.
  ///
  /// - Parameter cotangent: the gradient of each row's loss, `[T]`.
  public func crossEntropyBackward(
    _ cotangent: Tensor, logits: Tensor, _ labels: Indices, ignoreIndex: Int32 = -100, logSumExp: Tensor
  ) throws -> Tensor {
    try require(cotangent, .f32, "crossEntropyBackward", "the cotangent")
    try require(logSumExp, .f32, "crossEntropyBackward", "logSumExp")
    try requireShape(cotangent, [labels.count], "crossEntropyBackward")
    try requireShape(logSumExp, [labels.count], "crossEntropyBackward")
    try requireLabels(logits, labels, classes: logits.columnCount, ignoreIndex, "crossEntropyBackward")
    let output = try allocate(logits.shape, .f32)
    if !output.isEmpty {
      try crossEntropyBackward(
        cotangent, logits: logits, labels, ignoreIndex: ignoreIndex, logSumExp: logSumExp, into: output)
    }
    return output
  }

  /// Losses of rows of hidden states under an output projection, in chunks of rows, so that the logits of all rows
  /// never exist together.
  ///
  /// - Parameters:
  ///   - hidden: `[T, d]`.
  ///   - labels: `[T]`.
  ///   - weight: `[V, d]`; f32, bf16 or f16.
  ///   - bias: `[V]`.
  ///   - wantsGradient: also compute `unitGradient`.
  ///   - options: only `frozen` and `roundsOperands` count.
  ///   - logitBytes: about how many bytes of logits may exist at one time; those of 64 rows always do.
  public func linearCrossEntropy(
    _ hidden: Tensor, _ labels: Indices, weight: Tensor, bias: Tensor? = nil, ignoreIndex: Int32 = -100,
    wantsGradient: Bool, options: MatmulOptions = MatmulOptions(), logitBytes: Int = 64 << 20
  ) throws -> LinearCrossEntropyResult {
    try requireProjection(hidden, labels, weight, ignoreIndex, "linearCrossEntropy")
    let losses = try allocate([labels.count], .f32)
    let unitGradient = wantsGradient ? try allocate(hidden.shape, .f32) : nil
    try forEachChunk(hidden, labels, weight, bias, options, logitBytes) { rows, hiddenChunk, labelChunk, logits in
      let result = try crossEntropy(logits, labelChunk, ignoreIndex: ignoreIndex)
      try copy(
        result.losses,
        to: Tensor(
          storage: losses.storage, offset: losses.offset + rows.lowerBound, shape: [rows.count], dtype: .f32))
      guard let unitGradient else { return }
      let ones = try allocate([rows.count], .f32)
      try fill(ones, with: 1)
      try crossEntropyBackward(
        ones, logits: logits, labelChunk, ignoreIndex: ignoreIndex, logSumExp: result.logSumExp, into: logits)
      let gradient = try matmul(
        logits, weight, MatmulOptions(frozen: options.frozen, roundsOperands: options.roundsOperands))
      try copy(gradient, to: try unitGradient.rows(rows))
    }
    return LinearCrossEntropyResult(losses: losses, unitGradient: unitGradient)
  }

  /// The gradients of `linearCrossEntropy` with respect to weight `[V, d]` and bias `[V]`; computes the logits again.
  ///
  /// - Parameter cotangent: the gradient of each row's loss, `[T]`.
  public func linearCrossEntropyBackwardParameters(
    _ cotangent: Tensor, _ hidden: Tensor, _ labels: Indices, weight: Tensor, bias: Tensor? = nil,
    ignoreIndex: Int32 = -100
  ) throws -> (weight: Tensor, bias: Tensor?) {
    try require(cotangent, .f32, "linearCrossEntropyBackwardParameters", "the cotangent")
    try requireShape(cotangent, [labels.count], "linearCrossEntropyBackwardParameters")
    try requireProjection(hidden, labels, weight, ignoreIndex, "linearCrossEntropyBackwardParameters")
    let weightGradient = try zeros(weight.shape)
    let biasGradient = bias == nil ? nil : try zeros([weight.shape[0]])
    try forEachChunk(hidden, labels, weight, bias, MatmulOptions(), 64 << 20) { rows, hiddenChunk, labelChunk, logits in
      let result = try crossEntropy(logits, labelChunk, ignoreIndex: ignoreIndex)
      let cotangentChunk = Tensor(
        storage: cotangent.storage, offset: cotangent.offset + rows.lowerBound, shape: [rows.count], dtype: .f32)
      try crossEntropyBackward(
        cotangentChunk, logits: logits, labelChunk, ignoreIndex: ignoreIndex, logSumExp: result.logSumExp,
        into: logits)
      try accumulateMatmul(logits, hiddenChunk, MatmulOptions(transposeA: true), onto: weightGradient)
      if let biasGradient { try addScaled(try columnSums(logits), 1, onto: biasGradient) }
    }
    return (weightGradient, biasGradient)
  }

  /// Rows whose logits exist at one time, in every chunk about as many.
  private func chunkRows(of rows: Int, classes: Int, logitBytes: Int) -> Int {
    let most = max(64, logitBytes / DType.f32.byteCount / max(1, classes))
    let chunks = max(1, (rows + most - 1) / most)
    return max(1, (rows + chunks - 1) / chunks)
  }

  private func forEachChunk(
    _ hidden: Tensor, _ labels: Indices, _ weight: Tensor, _ bias: Tensor?, _ options: MatmulOptions,
    _ logitBytes: Int, _ body: (Range<Int>, Tensor, Indices, Tensor) throws -> Void
  ) throws {
    let step = chunkRows(of: labels.count, classes: weight.shape[0], logitBytes: logitBytes)
    for start in stride(from: 0, to: labels.count, by: step) {
      let rows = start..<min(start + step, labels.count)
      let hiddenChunk = try hidden.rows(rows)
      let labelChunk = Indices(
        values: Array(labels.values[rows]),
        tensor: Tensor(
          storage: labels.tensor.storage, offset: labels.tensor.offset + rows.lowerBound, shape: [rows.count],
          dtype: .i32))
      let logits = try matmul(
        hiddenChunk, weight,
        MatmulOptions(transposeB: true, frozen: options.frozen, roundsOperands: options.roundsOperands), bias: bias)
      try body(rows, hiddenChunk, labelChunk, logits)
    }
  }

  private func requireProjection(
    _ hidden: Tensor, _ labels: Indices, _ weight: Tensor, _ ignoreIndex: Int32, _ operation: String
  ) throws {
    guard hidden.shape.rank == 2, weight.shape.rank == 2, hidden.columnCount == weight.columnCount else {
      throw ComputeError.shapeMismatch(operation: operation, hidden.shape, weight.shape)
    }
    try requireLabels(hidden, labels, classes: weight.shape[0], ignoreIndex, operation)
  }

  private func requireLabels(
    _ rows: Tensor, _ labels: Indices, classes: Int, _ ignoreIndex: Int32, _ operation: String
  ) throws {
    try require(rows, .f32, operation, "the rows")
    guard rows.shape.rank == 2, rows.shape[0] == labels.count else {
      throw ComputeError.shapeMismatch(operation: operation, rows.shape, labels.tensor.shape)
    }
    try labels.check(within: classes, except: ignoreIndex, operation: operation)
  }
}
