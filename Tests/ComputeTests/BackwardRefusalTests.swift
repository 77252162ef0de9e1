import Compute
import TestSupport
import Testing

/// What a backward pass or an optimizer step is given is checked like what a forward pass is given.
@Suite struct BackwardRefusalTests {
  private struct Refusal: Sendable {
    let what: String
    let operation: String
    let call: @Sendable (any ComputeBackend) throws -> Void

    init(_ what: String, _ operation: String, _ call: @escaping @Sendable (any ComputeBackend) throws -> Void) {
      (self.what, self.operation, self.call) = (what, operation, call)
    }
  }

  private static let rowwise: [Refusal] = [
    Refusal("type of the cotangent", "siluBackward") {
      _ = try $0.activationBackward(.silu, try $0.allocate([3], .bf16), x: try $0.zeros([3]))
    },
    Refusal("type of X", "reluBackward") {
      _ = try $0.activationBackward(.relu, try $0.zeros([3]), x: try $0.allocate([3], .i32))
    },
    Refusal("type of up", "gatedBackward") {
      _ = try $0.gatedBackward(.silu, try $0.zeros([3]), gate: try $0.zeros([3]), up: try $0.allocate([3], .f16))
    },
    Refusal("type of the cotangent", "softmaxBackward") {
      _ = try $0.softmaxBackward(try $0.allocate([2, 3], .f16), y: try $0.zeros([2, 3]))
    },
    Refusal("weight", "layerNormBackward") {
      _ = try $0.layerNormBackward(
        try $0.zeros([2, 3]), x: try $0.zeros([2, 3]), weight: try $0.zeros([2]), mean: try $0.zeros([2]),
        rstd: try $0.zeros([2]))
    },
    Refusal("mean", "layerNormBackward") {
      _ = try $0.layerNormBackward(
        try $0.zeros([2, 3]), x: try $0.zeros([2, 3]), weight: try $0.zeros([3]), mean: try $0.zeros([3]),
        rstd: try $0.zeros([2]))
    },
    Refusal("type of rstd", "layerNormBackwardParameters") {
      _ = try $0.layerNormBackwardParameters(
        try $0.zeros([2, 3]), x: try $0.zeros([2, 3]), mean: try $0.zeros([2]), rstd: try $0.allocate([2], .bf16))
    },
    Refusal("rstd", "rmsNormBackward") {
      _ = try $0.rmsNormBackward(
        try $0.zeros([2, 3]), x: try $0.zeros([2, 3]), weight: try $0.zeros([3]), rstd: try $0.zeros([1]))
    },
    Refusal("cotangent", "rmsNormBackwardWeight") {
      _ = try $0.rmsNormBackwardWeight(try $0.zeros([3, 2]), x: try $0.zeros([2, 3]), rstd: try $0.zeros([2]))
    },
    Refusal("type of the factors", "scaleRows") {
      _ = try $0.scaleRows(try $0.zeros([2, 3]), by: try $0.allocate([2], .i32))
    },
  ]

  private static let losses: [Refusal] = [
    Refusal("type of the cotangent", "crossEntropyBackward") {
      _ = try $0.crossEntropyBackward(
        try $0.allocate([1], .bf16), logits: try $0.zeros([1, 3]), try $0.indices([0]), logSumExp: try $0.zeros([1]))
    },
    Refusal("sums", "crossEntropyBackward") {
      _ = try $0.crossEntropyBackward(
        try $0.zeros([1]), logits: try $0.zeros([1, 3]), try $0.indices([0]), logSumExp: try $0.zeros([2]))
    },
    Refusal("cotangent", "linearCrossEntropyBackwardParameters") {
      _ = try $0.linearCrossEntropyBackwardParameters(
        try $0.zeros([2]), try $0.zeros([1, 4]), try $0.indices([0]), weight: try $0.zeros([5, 4]))
    },
    Refusal("type of the cotangent", "attentionBackward") { try attend($0, cotangent: .f16) },
    Refusal("a result of other sizes", "attentionBackward") { try attend($0, keys: 3) },
  ]

  /// The backward pass of two queries, with a cotangent of that type and the result of another problem if `keys` is 3.
  private static func attend(_ backend: any ComputeBackend, cotangent: DType = .f32, keys: Int = 2) throws {
    let attributes = AttentionAttributes(heads: 2, scale: 1)
    func inputs(_ count: Int) throws -> (Tensor, AttentionLayout) {
      (try backend.zeros([count, 4]), try .single(queryCount: count, keyCount: count, causal: true))
    }
    let (other, otherLayout) = try inputs(keys)
    let result = try backend.attention(q: other, k: other, v: other, otherLayout, attributes)
    let (x, layout) = try inputs(2)
    _ = try backend.attentionBackward(
      try backend.allocate(result.output.shape, cotangent), q: x, k: x, v: x, result, layout, attributes)
  }

  private static let optimizers: [Refusal] = [
    Refusal("gradient", "adamW") { try adamW($0, gradient: [4]) },
    Refusal("moment", "adamW") { try adamW($0, moment: [2]) },
    Refusal("type of a moment", "adamW") { try adamW($0, momentType: .bf16) },
    Refusal("step 0", "adamW") { try adamW($0, step: 0) },
    Refusal("velocity", "sgd") {
      try $0.stepSGD(
        learningRate: 1, momentum: 0.9, parameter: try $0.zeros([3]), gradient: try $0.zeros([3]),
        velocity: try $0.zeros([4]))
    },
    Refusal("type of the gradient", "sgd") {
      try $0.stepSGD(learningRate: 1, parameter: try $0.zeros([3]), gradient: try $0.allocate([3], .f16))
    },
    Refusal("column moments", "adafactor") {
      try adafactor($0, [2, 3], .factored(rows: try $0.zeros([2]), columns: try $0.zeros([2])))
    },
    Refusal("factored moments of a vector", "adafactor") {
      try adafactor($0, [3], .factored(rows: try $0.zeros([3]), columns: try $0.zeros([3])))
    },
    Refusal("full moments", "adafactor") { try adafactor($0, [3], .full(try $0.zeros([2]))) },
    Refusal("step 0", "adafactor") { try adafactor($0, [3], .full(try $0.zeros([3])), step: 0) },
  ]

  private static func adamW(
    _ backend: any ComputeBackend, gradient: Shape = [3], moment: Shape = [3], momentType: DType = .f32, step: Int = 1
  ) throws {
    try backend.stepAdamW(
      AdamWStep(learningRate: 1, step: step), parameter: try backend.zeros([3]), gradient: try backend.zeros(gradient),
      firstMoment: try backend.allocate(moment, momentType), secondMoment: try backend.zeros([3]))
  }

  private static func adafactor(
    _ backend: any ComputeBackend, _ shape: Shape, _ moments: AdafactorMoments, step: Int = 1
  ) throws {
    try backend.stepAdafactor(
      AdafactorStep(learningRate: 1, step: step), parameter: try backend.zeros(shape),
      gradient: try backend.zeros(shape), moments: moments)
  }

  @Test(arguments: Backends.available)
  func whatDoesNotFitIsRefused(_ device: TestBackend) throws {
    let backend = try device.make()
    for refusal in Self.rowwise + Self.losses + Self.optimizers {
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
}
