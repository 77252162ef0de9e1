import Autodiff
import Compute
import Foundation
import TestSupport
import Testing

/// Every operation of the tape, on every backend.
@Suite struct OperationTests {
  typealias Body = (_ tape: Tape, _ inputs: [Variable]) throws -> [Variable]

  private static func check(_ device: TestBackend, _ inputs: [Shape], _ body: @escaping Body) throws {
    try GradientCheck(device.make(), inputs, body).run()
  }

  @Test(arguments: Backends.available) func `sums, products, scaling`(_ device: TestBackend) throws {
    for second: Shape in [[5, 7], [7]] {
      try Self.check(device, [[5, 7], second]) { [try $0.add($1[0], $1[1])] }
      try Self.check(device, [[5, 7], second]) { [try $0.multiply($1[0], $1[1])] }
    }
    try Self.check(device, [[5, 7]]) { [try $0.scale($1[0], by: -1.5)] }
    // One value in two places: its gradients add up.
    try Self.check(device, [[5, 7]]) { [try $0.multiply($0.add($1[0], $1[0]), $1[0])] }
  }

  @Test(arguments: Backends.available, Activation.allCases)
  func `activations and gates`(_ device: TestBackend, _ kind: Activation) throws {
    // A kink within a step of some value would spoil a difference of relu.
    let backend = try device.make()
    let shifted: Body = { tape, inputs in
      let away = (0..<35).map { Float($0 % 2 == 0 ? 4 : -4) }
      let x = kind == .relu ? try tape.add(inputs[0], tape.constant(try backend.tensor(away, [5, 7]))) : inputs[0]
      return [try tape.activation(kind, x)]
    }
    try GradientCheck(backend, [[5, 7]], shifted).run()
    guard kind != .relu else { return }
    try GradientCheck(backend, [[5, 7], [5, 7]]) { [try $0.gated(kind, gate: $1[0], up: $1[1])] }.run()
  }

  @Test(arguments: Backends.available) func `sigmoid and columns side by side`(_ device: TestBackend) throws {
    try Self.check(device, [[5, 7]]) { [try $0.sigmoid($1[0])] }
    try Self.check(device, [[5, 2], [5, 7], [5, 1]]) { [try $0.concatColumns($1)] }
    let backend = try device.make()
    let values = normals(24, seed: 4, deviation: 3)
    let tape = Tape(backend, isRecording: false)
    let got = try backend.values(tape.sigmoid(tape.constant(try backend.tensor(values, [4, 6]))).value)
    expectClose(got, values.map { 1 / (1 + exp(-Double($0))) }, within: 1e-6)
  }

  @Test(arguments: Backends.available) func `dropout`(_ device: TestBackend) throws {
    try Self.check(device, [[9, 7]]) { [try $0.dropout($1[0], probability: 0.4, seed: 3, stream: 9)] }
  }

  @Test(arguments: Backends.available) func `normalisation and softmax`(_ device: TestBackend) throws {
    try Self.check(device, [[6, 33], [33], [33]]) {
      [try $0.layerNorm($1[0], weight: $1[1], bias: $1[2], epsilon: 1e-5)]
    }
    try Self.check(device, [[6, 33], [33]]) { [try $0.layerNorm($1[0], weight: $1[1], bias: nil, epsilon: 1e-5)] }
    try Self.check(device, [[6, 33], [33]]) { [try $0.rmsNorm($1[0], weight: $1[1], epsilon: 1e-6)] }
    try Self.check(device, [[6, 33]]) { [try $0.softmax($1[0], scale: 0.7)] }
  }

  @Test(arguments: Backends.available, [false, true])
  func `products`(_ device: TestBackend, _ transposed: Bool) throws {
    let weight: Shape = transposed ? [9, 17] : [17, 9]
    try Self.check(device, [[5, 17], weight, [9]]) {
      [try $0.linear($1[0], weight: $1[1], bias: $1[2], transposeB: transposed)]
    }
    try Self.check(device, [[5, 17], weight]) { [try $0.linear($1[0], weight: $1[1], transposeB: transposed)] }
  }

  @Test(arguments: Backends.available) func `cross-entropy`(_ device: TestBackend) throws {
    let backend = try device.make()
    let labels = try backend.indices([3, 0, -100, 10, 3])
    try GradientCheck(backend, [[5, 11]]) { [try $0.crossEntropy($1[0], labels)] }.run()
    try GradientCheck(backend, [[5, 6], [11, 6], [11]]) {
      [try $0.linearCrossEntropy($1[0], labels, weight: $1[1], bias: $1[2])]
    }.run()
    try GradientCheck(backend, [[5, 6], [11, 6]]) { [try $0.linearCrossEntropy($1[0], labels, weight: $1[1])] }.run()
  }

  /// In how many chunks the logits come into being changes no bit.
  @Test(arguments: Backends.available) func `chunks of logits`(_ device: TestBackend) throws {
    func run(_ bytes: Int) throws -> (losses: [Float], gradient: [Float], peak: Int) {
      let backend = try device.make()
      let result = try backend.linearCrossEntropy(
        try backend.tensor(normals(150 * 40, seed: 2), [150, 40]),
        try backend.indices(randomIndices(150, below: 300, seed: 1)),
        weight: try backend.tensor(normals(300 * 40, seed: 3), [300, 40]), wantsGradient: true,
        options: MatmulOptions(frozen: true), logitBytes: bytes)
      return (try backend.values(result.losses), try backend.values(#require(result.unitGradient)), backend.memory.peak)
    }
    let parts = try run(1)
    let whole = try run(1 << 20)
    #expect(whole.losses == parts.losses && whole.gradient == parts.gradient)
    #expect(parts.peak < whole.peak, "\(parts.peak) bytes in chunks, \(whole.peak) at once")
  }

  @Test(arguments: Backends.available) func `rows and columns`(_ device: TestBackend) throws {
    let backend = try device.make()
    let repeated = try backend.indices([2, 0, 2, 3, 2])
    let chosen = try backend.indices([3, 0, 1])
    try GradientCheck(backend, [[4, 7]]) { [try $0.gatherRows($1[0], repeated)] }.run()
    try GradientCheck(backend, [[4, 7]]) { [try $0.selectRows($1[0], chosen)] }.run()
    try GradientCheck(backend, [[4, 7], [2, 7], [3, 7]]) { [try $0.concatRows($1)] }.run()
    try GradientCheck(backend, [[4, 7]]) { [try $0.sliceRows($1[0], 1..<3)] }.run()
    try GradientCheck(backend, [[4, 12]]) { try $0.splitColumns($1[0], widths: [3, 4, 5]) }.run()
    // A part that nothing depends on has no cotangent.
    try GradientCheck(backend, [[4, 12]]) { Array(try $0.splitColumns($1[0], widths: [3, 4, 5]).dropFirst()) }.run()
  }

  @Test(arguments: Backends.available) func `rotary positions`(_ device: TestBackend) throws {
    let backend = try device.make()
    let positions = try backend.indices([0, 1, 2, 7, 30])
    let frequencies = try backend.tensor([1, 0.3, 0.01], [3])
    for interleaved in [false, true] {
      let attributes = RotaryAttributes(heads: 2, inverseFrequencies: frequencies, interleaved: interleaved)
      try GradientCheck(backend, [[5, 16]]) { [try $0.rotary($1[0], positions, attributes)] }.run()
    }
  }

  @Test(arguments: Backends.available) func `attention with a shared prompt`(_ device: TestBackend) throws {
    let backend = try device.make()
    let layout = try AttentionLayout(
      segments: [
        AttentionSegment(queries: 0..<3, own: 0..<3, causal: true),
        AttentionSegment(queries: 3..<7, shared: [0..<3], own: 3..<7, causal: true),
        AttentionSegment(queries: 7..<9, shared: [0..<3], own: 7..<9, causal: false),
      ], queryCount: 9, keyCount: 9)
    for window in [nil, 3] {
      for keyValueHeads in [2, 4] {
        let attributes = AttentionAttributes(heads: 4, keyValueHeads: keyValueHeads, scale: 0.4, window: window)
        let width = 6 * keyValueHeads
        try GradientCheck(backend, [[9, 24], [9, width], [9, width]]) {
          [try $0.attention(q: $1[0], k: $1[1], v: $1[2], layout, attributes)]
        }.run()
      }
    }
    try GradientCheck(backend, [[9, 8], [9, 8], [9, 8], [8, 2]]) { tape, inputs in
      let attributes = AttentionAttributes(
        heads: 2, scale: 0.5, bias: .relative(table: inputs[3].value, bidirectional: true, maximumDistance: 16))
      return [
        try tape.attention(q: inputs[0], k: inputs[1], v: inputs[2], layout, attributes, table: inputs[3])
      ]
    }.run()
  }

  @Test func `a wrong gradient is caught`() throws {
    withKnownIssue {
      try GradientCheck(Backends.cpu.make(), [[5, 7]]) { tape, inputs in
        let backend = tape.backend
        let output = try tape.record("wrong", backend.scale(inputs[0].value, by: 2), inputs: inputs) { cotangent, _ in
          [try backend.scale(cotangent, by: 2.02)]
        }
        return [output]
      }.run()
    }
  }

  @Test func `frozen parameters get no gradient and stay frozen on every tape`() throws {
    let backend = try Backends.cpu.make()
    let frozen = Parameter(name: "frozen", value: try backend.tensor([1, 2, 3, 4], [2, 2]))
    let trained = Parameter(name: "trained", value: try backend.tensor([1, 2, 3, 4], [2, 2]), isTrainable: true)
    let tape = Tape(backend)
    let output = try tape.linear(tape.variable(trained), weight: tape.variable(frozen))
    let gradients = try tape.gradients(of: output, cotangent: try backend.tensor([1, 0, 0, 1], [2, 2]))
    #expect(gradients[frozen] == nil && gradients[trained] != nil)
    let silent = Tape(backend, isRecording: false)
    // Validation needs no gradients, but a trained weight still changes from one to the next.
    #expect(silent.variable(frozen).isFrozen && !silent.variable(trained).isFrozen)
    #expect(throws: AutodiffError.self) {
      _ = try silent.gradients(of: silent.variable(trained), cotangent: trained.value)
    }
  }
}
