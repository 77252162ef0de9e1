import Compute

extension OpenCLBackend {
  public func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    into output: Tensor, logSumExp: Tensor
  ) throws {
    let call = try AttentionCall(self, q: q, k: k, v: v, layout, attributes)
    try call.run(
      "attention_forward", heads: attributes.heads,
      tiles: call.usesPairs ? call.tables.pairTileCount : call.tables.tileCount,
      call.arguments(.queries) + [.tensor(output), .tensor(logSumExp)])
  }

  public func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    let call = try AttentionCall(self, q: q, k: k, v: v, layout, attributes)
    if call.usesOwnedHeads { return try call.runGradient(cotangent, result, into: gradients) }
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
    case gradient
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
  /// Whether operands are rounded and multiplied in pairs, by attention_pairs.cl.
  let usesPairs: Bool
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
    usesPairs =
      try attributes.mayRoundOperands && backend.variants.attention == .cpu
      && max(width, valueWidth) <= ProgramKey.widestHead && backend.usesDotProducts()
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
      case .queries:
        [.tensor(tables.segments), .tensor(tables.ranges), .tensor(usesPairs ? tables.pairTiles : tables.tiles)]
      case .gradient:
        [
          .tensor(tables.segments), .tensor(tables.ranges),
          .tensor(usesPairs ? tables.pairTiles : tables.gradientTiles),
        ]
      case .keys: [.tensor(tables.segments), .tensor(tables.keyTiles), .tensor(tables.visitors)]
      }
    return [.tensor(q), .tensor(k), .tensor(v)] + layout + [
      .int(biasKind), .optional(bias), .optional(buckets), .int(reach), .int(attributes.heads),
      .int(attributes.keyValueHeads), .int(width), .int(valueWidth), .float(attributes.scale),
      .int(min(attributes.window ?? Int(Int32.max), Int(Int32.max))),
    ]
  }

  private var isNarrow: Bool { width <= ProgramKey.widestHead && valueWidth <= ProgramKey.widestHead }

  /// Whether one kernel, attention_gradient of attention_cpu.cl, makes all gradients.
  var usesOwnedHeads: Bool { backend.variants.attention == .cpu && isNarrow }

  /// Partial sums of a relative table's gradient: one per query in attention_gpu.cl, one per tile elsewhere.
  var tableSlices: Int {
    backend.variants.attention == .gpu && isNarrow ? q.rowCount : tables.tileCount
  }

  func run(_ kernel: String, heads: Int, tiles: Int, _ arguments: [KernelArgument]) throws {
    if backend.variants.attention == .cpu, isNarrow {
      let program =
        usesPairs
        ? ProgramKey.pairAttention(width: width, valueWidth: valueWidth, dot: true)
        : ProgramKey.attention(.cpu, width: width, valueWidth: valueWidth)
      return try backend.run(program, kernel, groups: [heads, tiles], local: [1, 1], arguments)
    }
    let tile = LayoutTables.tile
    if backend.variants.attention == .gpu, isNarrow {
      let program = ProgramKey.attention(.gpu, width: width, valueWidth: valueWidth)
      let local = [ProgramKey.attentionGroup, 1, 1]
      return try backend.run(program, kernel, groups: [heads, tile, tiles], local: local, arguments)
    }
    try backend.run(
      .plainAttention, kernel, groups: [heads, tile, tiles], local: [1, 1, 1], arguments)
  }

  /// All gradients in one pass over the pairs of queries and keys.
  ///
  /// A work-item owns the keys and values of a head, so that gradients of shared keys add up in a fixed order. Where
  /// there are few such heads for the device, groups of tiles make gradients of their own, which are then added up.
  func runGradient(_ cotangent: Tensor, _ result: AttentionResult, into gradients: AttentionGradients) throws {
    let heads = attributes.keyValueHeads
    let wanted = (4 * backend.openCLDevice.computeUnits + heads - 1) / heads
    let tileCount = usesPairs ? tables.pairTileCount : tables.gradientTileCount
    let groups = heads >= 2 * backend.openCLDevice.computeUnits ? 1 : max(1, min(wanted, tileCount))
    func slices(_ tensor: Tensor) throws -> Tensor {
      groups == 1 ? tensor : try backend.allocate([groups, tensor.count], .f32)
    }
    let (key, value, table) = (
      try slices(gradients.k), try slices(gradients.v), try gradients.table.map(slices)
    )
    try run(
      "attention_gradient", heads: heads, tiles: groups,
      arguments(.gradient) + [
        .tensor(cotangent), .tensor(result.output), .tensor(result.logSumExp), .tensor(gradients.q), .tensor(key),
        .tensor(value), .int(tileCount), .int(k.rowCount), .optional(table),
        .int(gradients.table?.shape[0] ?? 0),
      ])
    guard groups > 1 else { return }
    for (partial, sum) in [(key, gradients.k), (value, gradients.v), (table, gradients.table)] {
      guard let partial, let sum, !sum.isEmpty else { continue }
      try backend.columnSums(.value, partial, into: try sum.reshaped([sum.count]))
    }
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
