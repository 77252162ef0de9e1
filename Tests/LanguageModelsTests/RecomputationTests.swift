import Autodiff
import Compute
import LanguageModels
import TestSupport
import Testing

/// Models whose layers are computed again in the backward pass.
@Suite struct RecomputationTests {
  private struct Found {
    var gradients: [String: [UInt32]] = [:]
    var kept = 0
  }

  /// Gradients of everything that is trained, bit by bit, and the bytes that live between the passes.
  private func run(
    _ parameters: [Parameter], on backend: any ComputeBackend, recomputes: Bool,
    _ losses: (Tape) throws -> (losses: Variable, leaves: [Variable])
  ) throws -> Found {
    var found = Found()
    let before = backend.memory.current
    let tape = Tape(backend, recomputesLayers: recomputes)
    let (losses, leaves) = try losses(tape)
    found.kept = backend.memory.current - before
    let cotangent = try backend.tensor(normals(losses.shape.count, seed: 40), losses.shape)
    let gradients = try tape.gradients(of: losses, cotangent: cotangent)
    for parameter in parameters {
      guard let gradient = gradients[parameter] else { continue }
      found.gradients[parameter.name] = try backend.values(gradient).map(\.bitPattern)
    }
    for (index, leaf) in leaves.enumerated() {
      found.gradients["leaf \(index)"] = try backend.values(try #require(gradients[leaf])).map(\.bitPattern)
    }
    return found
  }

  private func compare(_ plain: Found, _ recomputed: Found, _ model: String) {
    #expect(Set(plain.gradients.keys) == Set(recomputed.gradients.keys))
    for (name, bits) in plain.gradients {
      let isSame = recomputed.gradients[name] == bits
      #expect(isSame, "\(model): gradient of \(name)")
    }
    #expect(
      recomputed.kept < plain.kept * 2 / 3,
      "\(model): \(recomputed.kept) bytes kept, \(plain.kept) without recomputation")
  }

  /// With a prefix in every layer, and the last layer on chosen rows alone.
  @Test(arguments: Backends.available, [false, true])
  func `a decoder`(_ device: TestBackend, _ isTrainable: Bool) throws {
    let backend = try device.make()
    let model = try TinyModel.gpt2(on: backend, isTrainable: isTrainable)
    let tokens = randomIndices(60, below: 256, seed: 3)
    let labels = try backend.indices(randomIndices(15, below: 256, seed: 4))
    let batch = try PackedBatch.causal(
      prefixLength: 2, promptLength: 0,
      [PackedSequence(length: 40, outputs: 10), PackedSequence(length: 20, outputs: 5)], on: backend)
    func losses(_ tape: Tape) throws -> (Variable, [Variable]) {
      let leaves = try (0..<4).map {
        tape.leaf(try backend.tensor(normals(48, seed: UInt64(60 + $0)), [2, 24]), name: "prefix")
      }
      let hidden = try model.encode(
        try model.embed(tokens, on: tape), batch,
        prefixes: LayerPrefixes(keys: Array(leaves[..<2]), values: Array(leaves[2...])), cache: nil, on: tape)
      return (try model.losses(hidden, labels, on: tape), leaves)
    }
    _ = try run(model.parameters, on: backend, recomputes: false, losses)  // repacked weights count as memory, too
    let plain = try run(model.parameters, on: backend, recomputes: false, losses)
    #expect(plain.gradients.count == (isTrainable ? model.parameters.count : 0) + 4)
    compare(plain, try run(model.parameters, on: backend, recomputes: true, losses), "gpt2")
  }

  /// Whose layers share a table of relative positions and read what the encoder made.
  @Test(arguments: Backends.available, [false, true])
  func `an encoder and a decoder`(_ device: TestBackend, _ isTrainable: Bool) throws {
    let backend = try device.make()
    let setting = try T5Tests.Setting("t5-tied", on: backend, prompted: true, isTrainable: isTrainable)
    let labels = try backend.indices(setting.targets.flatMap { $0.map { _ in Int32(3) } })
    func losses(_ tape: Tape) throws -> (Variable, [Variable]) {
      let (encoded, prompt) = try setting.encoded(on: tape)
      let hidden = try setting.decoded(encoded, outputs: setting.targets.map(\.count), on: tape)
      return (try setting.model.losses(hidden, labels, on: tape), [try #require(prompt)])
    }
    _ = try run(setting.model.parameters, on: backend, recomputes: false, losses)
    compare(
      try run(setting.model.parameters, on: backend, recomputes: false, losses),
      try run(setting.model.parameters, on: backend, recomputes: true, losses), "t5")
  }
}
