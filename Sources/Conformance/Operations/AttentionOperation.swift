import Compute

/// Scaled dot-product attention over a packed batch, by segments.
struct AttentionOperation: ConformanceOperation {
  enum Bias: String, CaseIterable { case none, alibi, relative }

  let documentation = OperationDocumentation(
    name: "attention",
    inputs: [
      InputDocumentation(0, "q", "[Q, heads width]"), InputDocumentation(1, "k", "[K, keyValueHeads width]"),
      InputDocumentation(2, "v", "[K, keyValueHeads valueWidth]"),
      InputDocumentation(
        3, "bias", "ALiBi slopes [heads] (no gradient) or relative table [buckets, heads]", optional: true),
    ],
    attributes: [
      AttributeDocumentation("heads", nil, "query heads, side by side"),
      AttributeDocumentation("keyValueHeads", .null, "key and value heads (heads)"),
      AttributeDocumentation("scale", .null, "factor on the scores (1 / sqrt(width))"),
      AttributeDocumentation("bias", "none", "none, alibi or relative"),
      AttributeDocumentation("bidirectional", true, "of T5's buckets"),
      AttributeDocumentation("maximumDistance", 128, "of T5's buckets"),
      AttributeDocumentation("window", .null, "keys further than this many positions behind are not seen (none)"),
      AttributeDocumentation(
        "segments", .null, "a list of {queries: [a, b], shared: [[s, e], ..], own: [c, d], causal: bool, gap: n}"),
      AttributeDocumentation("causal", false, "of the one segment over everything, without segments"),
      AttributeDocumentation(
        "mayRoundOperands", false, "factors of products may be rounded to bfloat16", isInternal: true),
    ],
    output: "[Q, heads valueWidth]")

  /// What the attributes of a call mean, independent of the protocol's own types.
  struct Plan {
    var heads, keyValueHeads, width, valueWidth: Int
    var scale: Float
    var bias: Bias
    var bidirectional: Bool
    var maximumDistance: Int
    var window: Int?
    var segments: [AttentionSegment]
    var mayRound: Bool
  }

  func plan(_ call: OperationCall) throws -> Plan {
    let attributes = call.attributes
    let (q, k, v) = (try call.input(0).shape, try call.input(1).shape, try call.input(2).shape)
    let heads = try attributes.int("heads")
    let keyValueHeads = try attributes.optionalInt("keyValueHeads") ?? heads
    guard heads > 0, keyValueHeads > 0, q.rank == 2, k.rank == 2, v.rank == 2, q.columns % heads == 0 else {
      throw ConformanceError.invalidCall("\(heads) heads over \(keyValueHeads) for q \(q), k \(k), v \(v)")
    }
    let width = q.columns / heads
    let scale =
      attributes["scale"] == .null ? Float(1 / Double(width).squareRoot()) : try attributes.float("scale")
    return Plan(
      heads: heads, keyValueHeads: keyValueHeads, width: width, valueWidth: v.columns / keyValueHeads, scale: scale,
      bias: try attributes.choice("bias", Bias.self), bidirectional: try attributes.bool("bidirectional"),
      maximumDistance: try attributes.int("maximumDistance"), window: try attributes.optionalInt("window"),
      segments: try segments(attributes, queryCount: q[0], keyCount: k[0]),
      mayRound: try attributes.bool("mayRoundOperands"))
  }

  private func segments(_ attributes: AttributeValues, queryCount: Int, keyCount: Int) throws -> [AttentionSegment] {
    guard attributes["segments"] != .null else {
      return [AttentionSegment(queries: 0..<queryCount, own: 0..<keyCount, causal: try attributes.bool("causal"))]
    }
    func wrong(_ detail: String) -> ConformanceError { .invalidCall("attribute `segments`: \(detail)") }
    func range(_ value: AttributeValue) throws -> Range<Int> {
      guard case .array(let ends) = value, ends.count == 2, case .number(let start) = ends[0],
        case .number(let end) = ends[1], let start = Int(exactly: start), let end = Int(exactly: end), start <= end
      else { throw wrong("\(value) is not a range [a, b]") }
      return start..<end
    }
    guard case .array(let list) = attributes["segments"] else { throw wrong("not a list") }
    return try list.map { item in
      guard case .object(let object) = item else { throw wrong("\(item) is not an object") }
      for key in object.keys.sorted() where !["queries", "shared", "own", "causal", "gap"].contains(key) {
        throw ConformanceError.unknownAttribute(operation: "attention", "segments.\(key)")
      }
      guard let queries = object["queries"] else { throw wrong("a segment without queries") }
      var shared: [Range<Int>] = []
      switch object["shared"] {
      case .array(let ranges)?: shared = try ranges.map(range)
      case nil, .null?: break
      default: throw wrong("`shared` is not a list of ranges")
      }
      var causal = false
      switch object["causal"] {
      case .bool(let value)?: causal = value
      case nil, .null?: break
      default: throw wrong("`causal` is not true or false")
      }
      var gap = 0
      switch object["gap"] {
      case .number(let value)?:
        guard let whole = Int(exactly: value), whole >= 0 else { throw wrong("`gap` is not a whole number") }
        gap = whole
      case nil, .null?: break
      default: throw wrong("`gap` is not a number")
      }
      return AttentionSegment(
        queries: try range(queries), shared: shared, own: try object["own"].map(range) ?? 0..<0, causal: causal,
        gap: gap)
    }
  }

  func differentiableInputs(_ call: OperationCall) throws -> Set<Int> {
    let bias = try call.attributes.choice("bias", Bias.self)
    return bias == .relative && call.inputs[3] != nil ? [0, 1, 2, 3] : [0, 1, 2]
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let plan = try plan(call)
    let q = try session.input(0, of: call)
    let k = try session.input(1, of: call)
    let v = try session.input(2, of: call)
    var attributes = AttentionAttributes(
      heads: plan.heads, keyValueHeads: plan.keyValueHeads, scale: plan.scale, window: plan.window,
      mayRoundOperands: plan.mayRound)
    switch plan.bias {
    case .none: break
    case .alibi: attributes.bias = .alibi(slopes: try session.input(3, of: call))
    case .relative:
      attributes.bias = .relative(
        table: try session.input(3, of: call), bidirectional: plan.bidirectional,
        maximumDistance: plan.maximumDistance)
    }
    let layout = try AttentionLayout(segments: plan.segments, queryCount: q.shape[0], keyCount: k.shape[0])
    let result = try backend.attention(q: q, k: k, v: v, layout, attributes)
    try session.emit("output.0", result.output)
    try session.emit("logSumExp", result.logSumExp)
    guard let cotangent, !gradients.isEmpty else { return }
    let output = try backend.attentionBackward(
      try session.upload(cotangent), q: q, k: k, v: v, result, layout, attributes, wantsTable: gradients.contains(3))
    if gradients.contains(0) { try session.emit("gradient.0", output.q) }
    if gradients.contains(1) { try session.emit("gradient.1", output.k) }
    if gradients.contains(2) { try session.emit("gradient.2", output.v) }
    if gradients.contains(3), let table = output.table { try session.emit("gradient.3", table) }
  }

  func outputShape(_ call: OperationCall) throws -> Shape {
    let plan = try plan(call)
    return [call.shape(0)[0], plan.heads * plan.valueWidth]
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    var reference = AttentionReference(plan: try plan(call), call, cotangent: cotangent)
    reference.compute()
    var results = [
      "output.0": Expectation(
        [reference.queryCount, reference.plan.heads * reference.plan.valueWidth], reference.output),
      "logSumExp": Expectation([reference.queryCount, reference.plan.heads], reference.logSumExp),
    ]
    guard cotangent != nil else { return results }
    for (index, sums) in reference.gradients.enumerated() where gradients.contains(index) {
      results["gradient.\(index)"] = Expectation(call.shape(index), sums.map { $0.total() })
    }
    return results
  }

  func work(_ call: OperationCall) -> Work {
    guard let plan = try? plan(call) else { return Work(flops: 0, bytes: 0) }
    let pairs = plan.segments.reduce(0.0) { sum, segment in
      let queries = Double(segment.queries.count)
      let unseen = segment.causal ? queries * (queries - 1) / 2 : 0
      return sum + max(0, queries * Double(segment.sharedCount + segment.own.count) - unseen)
    }
    let bytes = call.inputs.values.reduce(0) { $0 + $1.shape.count * 4 } + call.shape(0).rows * plan.heads * 4
    return Work(flops: 2 * pairs * Double(plan.heads * (plan.width + plan.valueWidth)), bytes: Double(bytes))
  }

  /// Of q, k and v together: the scores again and two products more for each of the forward pass's two.
  func gradientWork(_ call: OperationCall) -> Work {
    let work = work(call)
    return Work(flops: 2.5 * work.flops, bytes: 2 * work.bytes)
  }
}
