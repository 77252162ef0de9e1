import Compute

/// Calls that make no sense, and whether each ends in the right kind of error.
///
/// After the mistake the backend must still compute: the result is a small product.
struct MistakeOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "mistake",
    inputs: [],
    attributes: [
      AttributeDocumentation("mistake", nil, Mistake.all.map(\.name).joined(separator: ", "), isInternal: true)
    ],
    output: "[1]: 14, computed after the mistake ended in the right error")

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let name = try call.attributes.string("mistake")
    guard let mistake = Mistake.all.first(where: { $0.name == name }) else {
      throw ConformanceError.invalidCall("there is no mistake `\(name)`")
    }
    do {
      try mistake.make(backend)
      throw ConformanceError.invalidCall("no error was thrown")
    } catch let error as ComputeError {
      guard mistake.isRight(error) else {
        throw ConformanceError.invalidCall("ended in another kind of error: \(error)")
      }
    }
    let row = try backend.tensor([1, 2, 3], [1, 3])
    try session.emit("output.0", try backend.matmul(row, row, MatmulOptions(transposeB: true)).reshaped([1]))
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) -> [String: Expectation] {
    ["output.0": Expectation([1], exact: [14])]
  }
}

/// A call that must be refused.
struct Mistake: Sendable {
  let name: String
  let isRight: @Sendable (ComputeError) -> Bool
  let make: @Sendable (any ComputeBackend) throws -> Void

  private init(
    _ name: String, _ isRight: @escaping @Sendable (ComputeError) -> Bool,
    _ make: @escaping @Sendable (any ComputeBackend) throws -> Void
  ) {
    self.name = name
    self.isRight = isRight
    self.make = make
  }

  private static func isShape(_ error: ComputeError) -> Bool {
    if case .shapeMismatch = error { true } else { false }
  }
  private static func isType(_ error: ComputeError) -> Bool {
    if case .unsupportedDType = error { true } else { false }
  }
  private static func isArgument(_ error: ComputeError) -> Bool {
    if case .invalidArgument = error { true } else { false }
  }
  private static func isIndex(_ error: ComputeError) -> Bool {
    if case .indexOutOfRange = error { true } else { false }
  }
  private static func isMemory(_ error: ComputeError) -> Bool {
    if case .outOfMemory = error { true } else { false }
  }

  static let all: [Mistake] = shapes + types + arguments + memory

  private static let shapes: [Mistake] = [
    Mistake("upload,count", isShape) { _ = try $0.tensor([1, 2, 3], [2, 2]) },
    Mistake("matmul,inner-sizes", isShape) { _ = try $0.matmul($0.zeros([2, 3]), $0.zeros([4, 5])) },
    Mistake("matmul,transposed", isShape) {
      _ = try $0.matmul($0.zeros([2, 3]), $0.zeros([3, 5]), MatmulOptions(transposeB: true))
    },
    Mistake("matmul,batches", isShape) { _ = try $0.matmul($0.zeros([2, 3, 4]), $0.zeros([3, 4, 5])) },
    Mistake("matmul,bias", isShape) {
      _ = try $0.matmul($0.zeros([2, 3]), $0.zeros([3, 5]), bias: $0.zeros([4]))
    },
    Mistake("softmax,mask", isShape) { _ = try $0.softmax($0.zeros([2, 3]), mask: $0.zeros([3])) },
    Mistake("softmaxBackward", isShape) { _ = try $0.softmaxBackward($0.zeros([2, 3]), y: $0.zeros([3, 2])) },
    Mistake("layerNorm,weight", isShape) {
      _ = try $0.layerNorm($0.zeros([2, 3]), weight: $0.zeros([2]), bias: nil, epsilon: 1e-5)
    },
    Mistake("rmsNorm,weight", isShape) { _ = try $0.rmsNorm($0.zeros([2, 3]), weight: $0.zeros([2]), epsilon: 1e-5) },
    Mistake("geluBackward", isShape) { _ = try $0.activationBackward(.gelu, $0.zeros([2, 3]), x: $0.zeros([6])) },
    Mistake("gated", isShape) { _ = try $0.gated(.silu, gate: $0.zeros([2, 3]), up: $0.zeros([3, 2])) },
    Mistake("add", isShape) { _ = try $0.add($0.zeros([2, 3]), $0.zeros([2])) },
    Mistake("multiply", isShape) { _ = try $0.multiply($0.zeros([2, 3]), $0.zeros([3, 2])) },
    Mistake("addScaled", isShape) { try $0.addScaled($0.zeros([2]), 1, onto: $0.zeros([3])) },
    Mistake("scaleRows", isShape) { _ = try $0.scaleRows($0.zeros([2, 3]), by: $0.zeros([3])) },
    Mistake("scatterAddRows", isShape) {
      try $0.scatterAddRows($0.indices([0, 1]), updates: $0.zeros([2, 4]), onto: $0.zeros([5, 3]))
    },
    Mistake("concatRows", isShape) { _ = try $0.concatRows([$0.zeros([2, 3]), $0.zeros([2, 4])]) },
    Mistake("concatColumns", isShape) { _ = try $0.concatColumns([$0.zeros([2, 3]), $0.zeros([3, 3])]) },
    Mistake("rotary,positions", isShape) {
      _ = try $0.rotary(
        $0.zeros([3, 8]), $0.indices([0, 1]), RotaryAttributes(heads: 1, inverseFrequencies: $0.zeros([4])))
    },
    Mistake("crossEntropy,labels", isShape) { _ = try $0.crossEntropy($0.zeros([3, 4]), $0.indices([0, 1])) },
    Mistake("attention,heads", isShape) {
      let layout = try AttentionLayout.single(queryCount: 2, keyCount: 2, causal: true)
      let q = try $0.zeros([2, 6])
      _ = try $0.attention(q: q, k: $0.zeros([2, 4]), v: q, layout, AttentionAttributes(heads: 2, scale: 1))
    },
    Mistake("attention,values", isShape) {
      let layout = try AttentionLayout.single(queryCount: 2, keyCount: 2, causal: true)
      let q = try $0.zeros([2, 6])
      _ = try $0.attention(q: q, k: q, v: $0.zeros([3, 6]), layout, AttentionAttributes(heads: 2, scale: 1))
    },
  ]

  private static let types: [Mistake] = [
    Mistake("matmul,A-of-integers", isType) {
      _ = try $0.matmul($0.allocate([2, 3], .i32), $0.zeros([3, 4]))
    },
    Mistake("matmul,B-of-integers", isType) {
      _ = try $0.matmul($0.zeros([2, 3]), $0.allocate([3, 4], .i32))
    },
    Mistake("softmax,bf16", isType) { _ = try $0.softmax($0.allocate([2, 3], .bf16)) },
    Mistake("gelu,f16", isType) { _ = try $0.activation(.gelu, $0.allocate([2, 3], .f16)) },
    Mistake("add,integers", isType) { _ = try $0.add($0.zeros([3]), $0.allocate([3], .i32)) },
    Mistake("columnSums,bf16", isType) { _ = try $0.columnSums($0.allocate([2, 3], .bf16)) },
    Mistake("gatherRows,integers", isType) { _ = try $0.gatherRows($0.allocate([2, 3], .i32), $0.indices([0])) },
    Mistake("attention,bf16", isType) {
      let layout = try AttentionLayout.single(queryCount: 2, keyCount: 2, causal: true)
      let q = try $0.zeros([2, 6])
      _ = try $0.attention(
        q: q, k: $0.allocate([2, 6], .bf16), v: q, layout, AttentionAttributes(heads: 2, scale: 1))
    },
    Mistake("download,integers-as-floats", isType) { _ = try $0.values($0.allocate([2], .i32)) },
  ]

  private static let arguments: [Mistake] = [
    Mistake("gatherRows,beyond-the-table", isIndex) { _ = try $0.gatherRows($0.zeros([2, 3]), $0.indices([2])) },
    Mistake("gatherRows,negative", isIndex) { _ = try $0.gatherRows($0.zeros([2, 3]), $0.indices([-1])) },
    Mistake("scatterAddRows,beyond-the-table", isIndex) {
      try $0.scatterAddRows($0.indices([5]), updates: $0.zeros([1, 3]), onto: $0.zeros([5, 3]))
    },
    Mistake("scatterRows,a-row-twice", isArgument) {
      try $0.scatterRows($0.zeros([2, 3]), $0.indices([1, 1]), to: $0.zeros([5, 3]))
    },
    Mistake("crossEntropy,label", isIndex) { _ = try $0.crossEntropy($0.zeros([1, 4]), $0.indices([4])) },
    Mistake("sliceRows,beyond-the-end", isArgument) { _ = try $0.zeros([2, 3]).rows(1..<3) },
    Mistake("columns,beyond-the-end", isArgument) { _ = try $0.columns(2..<4, of: $0.zeros([2, 3])) },
    Mistake("rotary,too-many-dimensions", isArgument) {
      _ = try $0.rotary(
        $0.zeros([2, 8]), $0.indices([0, 1]), RotaryAttributes(heads: 2, inverseFrequencies: $0.zeros([4])))
    },
    Mistake("attention,heads-that-cannot-share", isArgument) {
      let layout = try AttentionLayout.single(queryCount: 2, keyCount: 2, causal: true)
      let q = try $0.zeros([2, 6])
      _ = try $0.attention(
        q: q, k: q, v: q, layout, AttentionAttributes(heads: 3, keyValueHeads: 2, scale: 1))
    },
    Mistake("attention,layout-of-other-sizes", isArgument) {
      let layout = try AttentionLayout.single(queryCount: 3, keyCount: 2, causal: false)
      let q = try $0.zeros([2, 6])
      _ = try $0.attention(q: q, k: q, v: q, layout, AttentionAttributes(heads: 2, scale: 1))
    },
    Mistake("attention,keys-beyond-the-rows", isArgument) { _ in
      _ = try AttentionLayout(
        segments: [AttentionSegment(queries: 0..<2, own: 0..<3, causal: false)], queryCount: 2, keyCount: 2)
    },
    Mistake("dropout,probability", isArgument) {
      _ = try $0.dropout($0.zeros([3]), probability: 1, seed: 0, stream: 0)
    },
    Mistake("argmaxRows,no-columns", isArgument) { _ = try $0.argmaxRows($0.zeros([3, 0])) },
    Mistake("concatRows,nothing", isArgument) { _ = try $0.concatRows([]) },
  ]

  /// Memory of no backend.
  private final class StrangeStorage: Storage {
    let byteCount = 64
  }

  private static let memory: [Mistake] = [
    Mistake("matmul,a-tensor-of-another-device", isArgument) {
      let strange = Tensor(storage: StrangeStorage(), shape: [2, 3], dtype: .f32)
      _ = try $0.matmul(strange, $0.zeros([3, 4]))
    },
    Mistake("gelu,a-tensor-of-another-device", isArgument) {
      _ = try $0.activation(.gelu, Tensor(storage: StrangeStorage(), shape: [2, 3], dtype: .f32))
    },
    Mistake("allocation,an-exabyte", isMemory) { _ = try $0.allocate([1 << 30, 1 << 28], .f32) },
    Mistake("allocation,sixteen-times-the-memory", isMemory) { backend in
      _ = try backend.allocate([16, max(1, backend.device.memoryBytes / 4)], .f32)
    },
  ]
}
