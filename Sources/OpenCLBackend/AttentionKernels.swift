import Compute

extension OpenCLBackend {
  public func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    into output: Tensor, logSumExp: Tensor
  ) throws {
    let call = try AttentionCall(self, q: q, k: k, v: v, layout, attributes)
    try call.run(
      "attention_forward", heads: attributes.heads, tiles: call.tables.tileCount,
      call.arguments(.queries) + [.tensor(output), .tensor(logSumExp)])
  }

  public func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    let call = try AttentionCall(self, q: q, k: k, v: v, layout, attributes)
    let inner = try allocate(result.logSumExp.shape, .f32)
    try call.runInner(cotangent, result.output, into: inner)
    let upstream: [KernelArgument] = [.tensor(cotangent), .tensor(result.logSumExp), .tensor(inner)]
    let buckets = gradients.table?.shape[0] ?? 0
    let partial = try gradients.table.map { _ in
      try allocate([call.tableSlices, buckets * attributes.heads], .f32)
    }
    try call.run(
      "attention_query_gradient", heads: attributes.heads, tiles: call.tables.tileCount,
      call.arguments(.queries) + upstream + [.tensor(gradients.q), .optional(partial), .int(buckets)])
    if let table = gradients.table, let partial {
      try columnSums(.value, partial, into: try table.reshaped([table.count]))
    }
    guard !k.isEmpty || !v.isEmpty else { return }
    try call.run(
      "attention_key_gradient", heads: attributes.keyValueHeads, tiles: call.tables.keyTileCount,
      call.arguments(.keys) + upstream + [.tensor(gradients.k), .tensor(gradients.v)])
  }
}

/// One attention problem with its tables, ready to be handed to the kernels.
private struct AttentionCall {
  enum Side {
    case queries
    case keys
  }

  let backend: OpenCLBackend
  let tables: LayoutTables
  let attributes: AttentionAttributes
  let q: Tensor
  let k: Tensor
  let v: Tensor
  let width: Int
  let valueWidth: Int
  private var biasKind = 0
  private var bias: Tensor?
  private var buckets: Tensor?
  private var reach = 0

  init(
    _ backend: OpenCLBackend, q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes
  ) throws {
    self.backend = backend
    self.attributes = attributes
    (self.q, self.k, self.v) = (q, k, v)
    width = q.columnCount / attributes.heads
    valueWidth = v.columnCount / attributes.keyValueHeads
    let key = ObjectIdentifier(backend)
    if let ready = layout.prepared[key] as? LayoutTables {
      tables = ready
    } else {
      tables = try LayoutTables(layout, backend)
      layout.prepared[key] = tables
    }
    switch attributes.bias {
    case .none: break
    case .alibi(let slopes): (biasKind, bias) = (1, slopes)
    case .relative(let table, let bidirectional, let maximumDistance):
      let wanted = RelativeBuckets(
        buckets: table.shape[0], bidirectional: bidirectional, maximumDistance: maximumDistance)
      (biasKind, bias, reach) = (2, table, wanted.reach)
      buckets = try backend.buckets(wanted)
    }
  }

  func arguments(_ side: Side) -> [KernelArgument] {
    let layout: [KernelArgument] =
      switch side {
      case .queries: [.tensor(tables.segments), .tensor(tables.ranges), .tensor(tables.tiles)]
      case .keys: [.tensor(tables.segments), .tensor(tables.keyTiles), .tensor(tables.visitors)]
      }
    return [.tensor(q), .tensor(k), .tensor(v)] + layout + [
      .int(biasKind), .optional(bias), .optional(buckets), .int(reach), .int(attributes.heads),
      .int(attributes.keyValueHeads), .int(width), .int(valueWidth), .float(attributes.scale),
      .int(min(attributes.window ?? Int(Int32.max), Int(Int32.max))),
    ]
  }

  /// Partial sums of a relative table's gradient: one per query in attention_gpu.cl, one per tile elsewhere.
  var tableSlices: Int {
    backend.variants.attention == .gpu && width <= ProgramKey.widestHead && valueWidth <= ProgramKey.widestHead
      ? q.rowCount : tables.tileCount
  }

  func run(_ kernel: String, heads: Int, tiles: Int, _ arguments: [KernelArgument]) throws {
    if backend.variants.attention == .cpu, width <= ProgramKey.widestHead, valueWidth <= ProgramKey.widestHead {
      let program = ProgramKey.attention(.cpu, width: width, valueWidth: valueWidth)
      return try backend.run(program, kernel, groups: [heads, tiles], local: [1, 1], arguments)
    }
    let tile = LayoutTables.tile
    if backend.variants.attention == .gpu, width <= ProgramKey.widestHead, valueWidth <= ProgramKey.widestHead {
      let program = ProgramKey.attention(.gpu, width: width, valueWidth: valueWidth)
      let local = [ProgramKey.attentionGroup, 1, 1]
      return try backend.run(program, kernel, groups: [heads, tile, tiles], local: local, arguments)
    }
    try backend.run(
      .plainAttention, kernel, groups: [heads, tile, tiles], local: [1, 1, 1], arguments)
  }

  func runInner(_ cotangent: Tensor, _ output: Tensor, into inner: Tensor) throws {
    try backend.run(
      .plainAttention, "attention_inner", groups: [inner.count], local: [1],
      [.tensor(cotangent), .tensor(output), .tensor(inner), .size(inner.count), .int(valueWidth)])
  }
}

extension OpenCLBackend {
  /// The table of buckets on the device, made once.
  fileprivate func buckets(_ wanted: RelativeBuckets) throws -> Tensor {
    if let table = relativeBuckets[wanted] { return table }
    let table = try upload(wanted.table)
    relativeBuckets[wanted] = table
    return table
  }
}
