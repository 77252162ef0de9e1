import Autodiff
import Compute
import TestSupport
import Testing

/// Layers that keep nothing inside compute the same gradients.
@Suite struct RecomputationTests {
  /// Three layers that share a parameter, with dropout and values that are read twice.
  private final class Stack {
    let backend: any ComputeBackend
    let weights: [Parameter]
    let frozen: Parameter
    let shared: Parameter
    private(set) var bodies = 0

    init(_ backend: any ComputeBackend) throws {
      self.backend = backend
      weights = try (0..<3).map {
        Parameter(
          name: "w\($0)", value: try backend.tensor(normals(256, seed: UInt64($0), deviation: 0.3), [16, 16]),
          isTrainable: true)
      }
      frozen = Parameter(name: "f", value: try backend.tensor(normals(256, seed: 9, deviation: 0.3), [16, 16]))
      shared = Parameter(name: "s", value: try backend.tensor(normals(16, seed: 10), [16]), isTrainable: true)
    }

    func output(_ input: Variable, _ side: Variable, on tape: Tape) throws -> Variable {
      var x = input
      for (layer, weight) in weights.enumerated() {
        x = try tape.layer("layer.\(layer)") { [x, self] tape in
          bodies += 1
          let inner = try tape.activation(.gelu, tape.linear(x, weight: tape.variable(weight)))
          let dropped = try tape.dropout(inner, probability: 0.3, seed: 4, stream: UInt64(layer))
          let fixed = try tape.linear(dropped, weight: tape.variable(frozen))
          // Read twice, so that one gradient is the gradient of both.
          let scaled = try tape.scale(try tape.add(x, side), by: 0.5)
          return try tape.add(try tape.add(fixed, scaled), tape.variable(shared))
        }
      }
      return x
    }

    /// Gradients of the leaves and parameters, and the bytes that lived between the passes.
    func run(recomputes: Bool) throws -> (gradients: [[Float]], kept: Int, output: [Float]) {
      let input = try backend.tensor(normals(64 * 16, seed: 21), [64, 16])
      let side = try backend.tensor(normals(64 * 16, seed: 22), [64, 16])
      let cotangent = try backend.tensor(normals(64 * 16, seed: 23), [64, 16])
      let before = backend.memory.current
      let tape = Tape(backend, recomputesLayers: recomputes)
      let leaves = [tape.leaf(input, name: "input"), tape.leaf(side, name: "side")]
      let output = try output(leaves[0], leaves[1], on: tape)
      let kept = backend.memory.current - before
      let gradients = try tape.gradients(of: output, cotangent: cotangent)
      let parameters = try (weights + [shared]).map { try backend.values(try #require(gradients[$0], "\($0.name)")) }
      #expect(gradients[frozen] == nil)
      return (
        try leaves.map { try backend.values(try #require(gradients[$0])) } + parameters, kept,
        try backend.values(output.value)
      )
    }
  }

  @Test(arguments: Backends.available) func `the same gradients with less kept`(_ device: TestBackend) throws {
    let stack = try Stack(device.make())
    _ = try stack.run(recomputes: false)  // repacked weights count as memory, too
    let plain = try stack.run(recomputes: false)
    #expect(stack.bodies == 6)
    let recomputed = try stack.run(recomputes: true)
    #expect(stack.bodies == 12)
    #expect(recomputed.output == plain.output)
    for (index, (got, expected)) in zip(recomputed.gradients, plain.gradients).enumerated() {
      let differs = got.indices.first { got[$0].bitPattern != expected[$0].bitPattern }
      #expect(differs == nil, "gradient \(index) at element \(differs ?? 0)")
    }
    // Of each layer what it reads is left, of what its gradients need.
    #expect(recomputed.kept * 2 <= plain.kept, "\(recomputed.kept) bytes kept, \(plain.kept) without recomputation")
  }

  @Test func `nothing is computed twice without need`() throws {
    let backend = try Backends.cpu.make()
    let stack = try Stack(backend)
    let input = try backend.tensor(normals(64 * 16, seed: 21), [64, 16])
    let tape = Tape(backend, isRecording: false, recomputesLayers: true)
    _ = try stack.output(tape.constant(input), tape.constant(input), on: tape)
    #expect(stack.bodies == 3)
    // A layer that nothing trainable reaches.
    for parameter in stack.weights + [stack.shared] { parameter.isTrainable = false }
    let frozen = Tape(backend, recomputesLayers: true)
    let output = try stack.output(frozen.constant(input), frozen.constant(input), on: frozen)
    #expect(stack.bodies == 6 && !output.requiresGradient)
  }

  /// Two inputs that get one and the same tensor as their gradient must not be summed up in it.
  @Test(arguments: Backends.available) func `gradients of two inputs are two`(_ device: TestBackend) throws {
    let backend = try device.make()
    let values = [normals(8, seed: 1), normals(8, seed: 2)]
    let ones = try backend.tensor([Float](repeating: 1, count: 8), [2, 4])
    for recomputes in [false, true] {
      let tape = Tape(backend, recomputesLayers: recomputes)
      let leaves = try values.map { tape.leaf(try backend.tensor($0, [2, 4]), name: "leaf") }
      let early = try tape.scale(leaves[0], by: 3)
      let sum = try tape.layer("layer") { try $0.scale(try $0.add(leaves[0], leaves[1]), by: 2) }
      let gradients = try tape.gradients(of: tape.add(early, sum), cotangent: ones)
      let got = try leaves.map { try backend.values(try #require(gradients[$0])) }
      #expect(got == [[Float](repeating: 5, count: 8), [Float](repeating: 2, count: 8)])
    }
  }

  @Test func `errors of a checking tape name the place inside the layer`() throws {
    let backend = try Backends.cpu.make()
    let tape = Tape(backend, checksFiniteness: true, recomputesLayers: true)
    let leaf = tape.leaf(try backend.tensor([1, 3e38], [1, 2]), name: "leaf")
    #expect {
      try tape.layer("layer.7") { tape in try tape.scope("attention") { try tape.scale(leaf, by: 2) } }
    } throws: { "\($0)" == "layer.7.attention.scale is not finite at element 1" }
  }
}
