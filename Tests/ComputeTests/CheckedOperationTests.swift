import Compute
import TestSupport
import Testing

/// Wrong shapes, types and row numbers are errors that name the operation, on every device.
@Suite struct CheckedOperationTests {
  /// Calls that must throw, by what is wrong with them, and the operation that their message starts with.
  private struct Refusal: Sendable {
    let what: String
    let operation: String
    let call: @Sendable (any ComputeBackend) throws -> Void

    init(_ what: String, _ operation: String, _ call: @escaping @Sendable (any ComputeBackend) throws -> Void) {
      (self.what, self.operation, self.call) = (what, operation, call)
    }
  }

  private static func layout(_ queries: Int, _ keys: Int) throws -> AttentionLayout {
    try .single(queryCount: queries, keyCount: keys, causal: true)
  }

  private static let products: [Refusal] = [
    Refusal("inner sizes", "matmul") { _ = try $0.matmul(try $0.zeros([2, 3]), try $0.zeros([4, 5])) },
    Refusal("transposed sizes", "matmul") {
      _ = try $0.matmul(try $0.zeros([2, 3]), try $0.zeros([3, 5]), MatmulOptions(transposeB: true))
    },
    Refusal("unlike batches", "matmul") { _ = try $0.matmul(try $0.zeros([2, 2, 3]), try $0.zeros([4, 3, 5])) },
    Refusal("a vector", "matmul") { _ = try $0.matmul(try $0.zeros([3]), try $0.zeros([3, 5])) },
    Refusal("bias of another width", "matmul") {
      _ = try $0.matmul(try $0.zeros([2, 3]), try $0.zeros([3, 5]), bias: try $0.zeros([4]))
    },
    Refusal("C of another shape", "matmul") {
      _ = try $0.matmul(try $0.zeros([2, 3]), try $0.zeros([3, 5]), addend: try $0.zeros([5, 2]))
    },
    Refusal("whole numbers", "matmul") { _ = try $0.matmul(try $0.zeros([2, 3]), try $0.allocate([3, 5], .i32)) },
    Refusal("A in 16 bits", "matmul") { _ = try $0.matmul(try $0.allocate([2, 3], .bf16), try $0.zeros([3, 5])) },
    Refusal("accumulator of another shape", "matmul") {
      try $0.accumulateMatmul(
        try $0.zeros([2, 3]), try $0.zeros([3, 5]), MatmulOptions(), onto: try $0.zeros([2, 4]))
    },
  ]

  private static let rowwise: [Refusal] = [
    Refusal("mask of another shape", "softmax") { _ = try $0.softmax(try $0.zeros([2, 3]), mask: try $0.zeros([3])) },
    Refusal("type", "softmax") { _ = try $0.softmax(try $0.allocate([2, 3], .f16)) },
    Refusal("cotangent", "softmaxBackward") {
      _ = try $0.softmaxBackward(try $0.zeros([2, 3]), y: try $0.zeros([3, 2]))
    },
    Refusal("weight", "layerNorm") {
      _ = try $0.layerNorm(try $0.zeros([2, 3]), weight: try $0.zeros([2]), bias: nil)
    },
    Refusal("bias", "layerNorm") {
      _ = try $0.layerNorm(try $0.zeros([2, 3]), weight: try $0.zeros([3]), bias: try $0.zeros([2]))
    },
    Refusal("type of the bias", "layerNorm") {
      _ = try $0.layerNorm(try $0.zeros([2, 3]), weight: try $0.zeros([3]), bias: try $0.allocate([3], .bf16))
    },
    Refusal("rows without elements", "layerNorm") {
      _ = try $0.layerNorm(try $0.zeros([2, 0]), weight: try $0.zeros([0]), bias: nil)
    },
    Refusal("weight", "rmsNorm") { _ = try $0.rmsNorm(try $0.zeros([2, 3]), weight: try $0.zeros([1, 3])) },
    Refusal("rows without elements", "argmaxRows") { _ = try $0.argmaxRows(try $0.zeros([2, 0])) },
    Refusal("type", "columnSums") { _ = try $0.columnSums(try $0.allocate([2, 3], .i32)) },
  ]

  private static let elementwise: [Refusal] = [
    Refusal("shapes", "add") { _ = try $0.add(try $0.zeros([2, 3]), try $0.zeros([2, 4])) },
    Refusal("a row of another width", "multiply") { _ = try $0.multiply(try $0.zeros([2, 3]), try $0.zeros([2])) },
    Refusal("type", "gelu") { _ = try $0.activation(.gelu, try $0.allocate([3], .i32)) },
    Refusal("cotangent", "siluBackward") {
      _ = try $0.activationBackward(.silu, try $0.zeros([3]), x: try $0.zeros([4]))
    },
    Refusal("shapes", "gated") { _ = try $0.gated(.silu, gate: try $0.zeros([3]), up: try $0.zeros([4])) },
    Refusal("shapes", "addScaled") { try $0.addScaled(try $0.zeros([3]), 2, onto: try $0.zeros([4])) },
    Refusal("factors", "scaleRows") { _ = try $0.scaleRows(try $0.zeros([2, 3]), by: try $0.zeros([3])) },
    Refusal("probability 1", "dropout") {
      _ = try $0.dropout(try $0.zeros([3]), probability: 1, seed: 0, stream: 0)
    },
    Refusal("probability NaN", "dropout") {
      _ = try $0.dropout(try $0.zeros([3]), probability: .nan, seed: 0, stream: 0)
    },
    Refusal("positions", "rotary") {
      _ = try $0.rotary(
        try $0.zeros([2, 8]), try $0.indices([0]), RotaryAttributes(heads: 2, inverseFrequencies: try $0.zeros([2])))
    },
    Refusal("too many rotated columns", "rotary") {
      _ = try $0.rotary(
        try $0.zeros([1, 8]), try $0.indices([0]), RotaryAttributes(heads: 2, inverseFrequencies: try $0.zeros([3])))
    },
  ]

  private static let moving: [Refusal] = [
    Refusal("row 4 of 4", "gatherRows") { _ = try $0.gatherRows(try $0.zeros([4, 2]), try $0.indices([0, 4])) },
    Refusal("row -1", "gatherRows") { _ = try $0.gatherRows(try $0.zeros([4, 2]), try $0.indices([-1])) },
    Refusal("type", "gatherRows") { _ = try $0.gatherRows(try $0.allocate([4, 2], .i32), try $0.indices([0])) },
    Refusal("row 9 of 4", "scatterAddRows") {
      try $0.scatterAddRows(try $0.indices([9]), updates: try $0.zeros([1, 2]), onto: try $0.zeros([4, 2]))
    },
    Refusal("updates", "scatterAddRows") {
      try $0.scatterAddRows(try $0.indices([1]), updates: try $0.zeros([2, 2]), onto: try $0.zeros([4, 2]))
    },
    Refusal("a row twice", "scatterRows") {
      try $0.scatterRows(try $0.zeros([2, 2]), try $0.indices([1, 1]), to: try $0.zeros([4, 2]))
    },
    Refusal("widths", "concatRows") { _ = try $0.concatRows([try $0.zeros([1, 2]), try $0.zeros([1, 3])]) },
    Refusal("types", "concatRows") { _ = try $0.concatRows([try $0.zeros([1, 2]), try $0.allocate([1, 2], .bf16)]) },
    Refusal("nothing", "concatRows") { _ = try $0.concatRows([]) },
    Refusal("heights", "concatColumns") { _ = try $0.concatColumns([try $0.zeros([1, 2]), try $0.zeros([2, 2])]) },
    Refusal("range", "columns") { _ = try $0.columns(1..<4, of: try $0.zeros([2, 3])) },
    Refusal("values", "upload") { _ = try $0.tensor([1, 2, 3], [2]) },
    Refusal("type", "download") { _ = try $0.values(try $0.allocate([2], .i32)) },
  ]

  private static let losses: [Refusal] = [
    Refusal("label 3 of 3", "crossEntropy") { _ = try $0.crossEntropy(try $0.zeros([1, 3]), try $0.indices([3])) },
    Refusal("label -1", "crossEntropy") { _ = try $0.crossEntropy(try $0.zeros([1, 3]), try $0.indices([-1])) },
    Refusal("rows", "crossEntropy") { _ = try $0.crossEntropy(try $0.zeros([2, 3]), try $0.indices([0])) },
    Refusal("cotangent", "crossEntropyBackward") {
      _ = try $0.crossEntropyBackward(
        try $0.zeros([2]), logits: try $0.zeros([1, 3]), try $0.indices([0]), logSumExp: try $0.zeros([1]))
    },
    Refusal("width", "linearCrossEntropy") {
      _ = try $0.linearCrossEntropy(
        try $0.zeros([1, 3]), try $0.indices([0]), weight: try $0.zeros([5, 4]), wantsGradient: false)
    },
    Refusal("label", "linearCrossEntropy") {
      _ = try $0.linearCrossEntropy(
        try $0.zeros([1, 4]), try $0.indices([5]), weight: try $0.zeros([5, 4]), wantsGradient: false)
    },
  ]

  private static func attend(
    _ backend: any ComputeBackend, q: Shape = [2, 4], k: Shape = [2, 4], v: Shape = [2, 4],
    _ layout: AttentionLayout? = nil, _ attributes: AttentionAttributes = AttentionAttributes(heads: 2, scale: 1)
  ) throws {
    _ = try backend.attention(
      q: try backend.zeros(q), k: try backend.zeros(k), v: try backend.zeros(v), try layout ?? self.layout(2, 2),
      attributes)
  }

  private static let attention: [Refusal] = [
    Refusal("heads", "attention") { try attend($0, nil, AttentionAttributes(heads: 3, keyValueHeads: 2, scale: 1)) },
    Refusal("widths", "attention") { try attend($0, k: [2, 6]) },
    Refusal("values", "attention") { try attend($0, v: [3, 4]) },
    Refusal("layout", "attention") { try attend($0, try layout(3, 2)) },
    Refusal("slopes", "attention") {
      try attend($0, nil, AttentionAttributes(heads: 2, scale: 1, bias: .alibi(slopes: try $0.zeros([3]))))
    },
    Refusal("table", "attention") {
      let bias = AttentionBias.relative(table: try $0.zeros([32, 3]), bidirectional: true, maximumDistance: 128)
      try attend($0, nil, AttentionAttributes(heads: 2, scale: 1, bias: bias))
    },
    Refusal("too few buckets", "attention") {
      let bias = AttentionBias.relative(table: try $0.zeros([3, 2]), bidirectional: true, maximumDistance: 128)
      try attend($0, nil, AttentionAttributes(heads: 2, scale: 1, bias: bias))
    },
  ]

  @Test(arguments: Backends.available)
  func whatDoesNotFitIsRefused(_ device: TestBackend) throws {
    let backend = try device.make()
    let refusals =
      Self.products + Self.rowwise + Self.elementwise + Self.moving + Self.losses + Self.attention
    for refusal in refusals {
      do {
        try refusal.call(backend)
        Issue.record("\(refusal.operation) took wrong \(refusal.what)")
      } catch let error as ComputeError {
        let message = error.description
        #expect(message.hasPrefix(refusal.operation + ":"), "\(message)")
        #expect(!message.contains("\n"))
      }
    }
  }

  @Test(arguments: Backends.available)
  func tooMuchMemoryIsATypedError(_ device: TestBackend) throws {
    let backend = try device.make()
    do {
      _ = try backend.allocate([1 << 46], .f32)
      Issue.record("2^48 bytes were handed out")
    } catch ComputeError.outOfMemory(_, let requested, _) {
      #expect(requested >= 1 << 48)
    }
  }

  @Test func layoutsCoverEveryQueryOnce() throws {
    func layout(_ segments: [AttentionSegment], _ queries: Int, _ keys: Int) throws {
      _ = try AttentionLayout(segments: segments, queryCount: queries, keyCount: keys)
    }
    let first = AttentionSegment(queries: 0..<2, own: 0..<2, causal: true)
    #expect(throws: ComputeError.self) { try layout([first], 3, 2) }
    #expect(throws: ComputeError.self) { try layout([first, first], 2, 2) }
    #expect(throws: ComputeError.self) { try layout([first], 2, 1) }
    #expect(throws: ComputeError.self) {
      try layout([AttentionSegment(queries: 0..<2, shared: [1..<9], own: 0..<2, causal: true)], 2, 2)
    }
    try layout([AttentionSegment(queries: 2..<4, own: 0..<2, causal: true), first], 4, 2)
  }

  /// Python's float32 arithmetic of the published function, by hand for the corners.
  @Test func relativeBuckets() {
    func bucket(_ distance: Int, _ bidirectional: Bool) -> Int {
      RelativePosition.bucket(distance: distance, bidirectional: bidirectional, buckets: 32, maximumDistance: 128)
    }
    #expect((-7...0).map { bucket($0, true) } == [7, 6, 5, 4, 3, 2, 1, 0])
    #expect((1...7).map { bucket($0, true) } == [17, 18, 19, 20, 21, 22, 23])
    #expect(bucket(-8, true) == 8 && bucket(-1000, true) == 15 && bucket(1000, true) == 31)
    #expect(bucket(5, false) == 0 && bucket(-15, false) == 15 && bucket(-16, false) == 16)
    #expect(bucket(-128, false) == 31 && bucket(-127, false) == 31)
  }
}
