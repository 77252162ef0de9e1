extension ComputeBackend {
  /// The default body: for each segment and head the whole matrix of scores, with `matmul`, `softmax` and
  /// `crossEntropy`.
  ///
  /// What a query does not see is multiplied by 0 rather than skipped, so a NaN in an unseen value reaches the output.
  ///
  /// - Throws: `ComputeError.unsupported` for a segment with more than 2^31 - 1 pairs of query and key.
  public func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    into output: Tensor, logSumExp: Tensor
  ) throws {
    let heads = attributes.heads
    let (width, valueWidth) = (q.columnCount / heads, output.columnCount / heads)
    for segment in layout.segments where !segment.queries.isEmpty {
      let (outputRows, sumRows) = (try output.rows(segment.queries), try logSumExp.rows(segment.queries))
      let work = try SegmentAttention(self, segment, attributes)
      guard work.keyCount > 0 else {
        try fill(outputRows, with: 0)
        try fill(sumRows, with: -.infinity)
        continue
      }
      let (queries, keys, values) = (try q.rows(segment.queries), try work.gather(k), try work.gather(v))
      for head in 0..<heads {
        let group = head / (heads / attributes.keyValueHeads)
        let scores = try work.scores(
          head: head, q: try block(head, width, of: queries), k: try block(group, width, of: keys))
        try copyColumns(try work.logSumExp(scores), from: 0, to: head, width: 1, of: sumRows)
        try work.softmax(scores)
        try place(try matmul(scores, try block(group, valueWidth, of: values)), asBlock: head, of: outputRows)
      }
    }
  }

  /// The default body: computes the weights of each segment and head again, then five products.
  ///
  /// What a query does not see is multiplied by 0 rather than skipped, so a NaN in an unseen row of q, k or v reaches
  /// the gradients.
  ///
  /// - Throws: `ComputeError.unsupported` for a segment with more than 2^31 - 1 pairs of query and key.
  public func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    for gradient in [gradients.q, gradients.k, gradients.v, gradients.table] {
      if let gradient, !gradient.isEmpty { try fill(gradient, with: 0) }
    }
    for segment in layout.segments where !segment.queries.isEmpty {
      let work = try SegmentAttention(self, segment, attributes)
      if work.keyCount > 0 {
        try addGradients(
          of: work, try cotangent.rows(segment.queries), q: try q.rows(segment.queries), k: try work.gather(k),
          v: try work.gather(v), attributes, onto: gradients, queryRows: try gradients.q.rows(segment.queries))
      }
    }
  }

  /// - Parameters:
  ///   - cotangent: the segment's rows, as `q`, `k` and `v` are.
  ///   - gradients: of whole tensors.
  ///   - queryRows: the segment's rows of `gradients.q`.
  private func addGradients(
    of work: SegmentAttention, _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor,
    _ attributes: AttentionAttributes, onto gradients: AttentionGradients, queryRows: Tensor
  ) throws {
    let (heads, groups) = (attributes.heads, attributes.keyValueHeads)
    let (width, valueWidth) = (k.columnCount / groups, v.columnCount / groups)
    let (keyGradients, valueGradients) = (try zeros(k.shape), try zeros(v.shape))
    let pairs = gradients.table == nil ? nil : try allocate([work.queryCount * work.keyCount, heads], .f32)
    for group in 0..<groups {
      let (keys, values) = (try block(group, width, of: k), try block(group, valueWidth, of: v))
      let (keyGradient, valueGradient) = (try zeros(keys.shape), try zeros(values.shape))
      for head in group * (heads / groups)..<(group + 1) * (heads / groups) {
        let queries = try block(head, width, of: q)
        let given = try block(head, valueWidth, of: cotangent)
        let weights = try work.scores(head: head, q: queries, k: keys)
        try work.softmax(weights)
        try accumulateMatmul(weights, given, MatmulOptions(transposeA: true), onto: valueGradient)
        let scores = try matmul(given, values, MatmulOptions(transposeB: true))
        try work.softmaxBackward(scores, weights: weights)
        if let pairs { try place(try scores.reshaped([scores.count, 1]), asBlock: head, of: pairs) }
        try place(try matmul(scores, keys, MatmulOptions(alpha: attributes.scale)), asBlock: head, of: queryRows)
        try accumulateMatmul(
          scores, queries, MatmulOptions(transposeA: true, alpha: attributes.scale), onto: keyGradient)
      }
      try place(keyGradient, asBlock: group, of: keyGradients)
      try place(valueGradient, asBlock: group, of: valueGradients)
    }
    try work.addBack(keyGradients, onto: gradients.k)
    try work.addBack(valueGradients, onto: gradients.v)
    if let pairs, let table = gradients.table, let buckets = work.buckets {
      try scatterAddRows(pairs, buckets, onto: table)
    }
  }

  /// A copy of the columns of one head, `[rows, width]`.
  private func block(_ head: Int, _ width: Int, of rows: Tensor) throws -> Tensor {
    try columns(head * width..<(head + 1) * width, of: rows)
  }

  /// Writes the columns of one head.
  private func place(_ block: Tensor, asBlock head: Int, of rows: Tensor) throws {
    let width = block.columnCount
    if !block.isEmpty { try copyColumns(block, from: 0, to: head * width, width: width, of: rows) }
  }
}
