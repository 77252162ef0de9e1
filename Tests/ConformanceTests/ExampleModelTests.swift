import Autodiff
import Compute
import LanguageModels
import TestSupport
import Testing

/// A transformer on the smallest backend, forward and backward.
@Suite struct ExampleModelTests {
  /// Losses of a small model, and the gradient of its input embeddings under random cotangents.
  private func lossesAndGradient(on backend: any ComputeBackend) throws -> (losses: [Float], gradient: [Float]) {
    let lengths = [7, 1, 12]
    let tokens = lengths.reduce(0, +)
    let model = try TinyModel.gpt2(on: backend)
    let width = model.facts.embeddingWidth
    let embeddings = Parameter(
      name: "embeddings",
      value: try backend.tensor(normals(tokens * width, seed: 3, deviation: 0.4), [tokens, width]), isTrainable: true)
    let tape = Tape(backend)
    let batch = try PackedBatch.causal(
      promptLength: 0, lengths.map { PackedSequence(length: $0, outputs: $0) }, on: backend)
    let hidden = try model.encode(tape.variable(embeddings), batch, cache: nil, on: tape)
    let labels = try backend.indices(randomIndices(tokens, below: model.facts.vocabularySize, seed: 4))
    let losses = try model.losses(hidden, labels, on: tape)
    let cotangent = try backend.tensor(normals(tokens, seed: 5), [tokens])
    let values = try backend.values(losses.value)
    let gradients = try tape.gradients(of: losses, cotangent: cotangent)
    return (values, try backend.values(try #require(gradients[embeddings])))
  }

  /// Nothing but the protocol ties a model to a device.
  @Test func modelsRunOnRequiredKernelsAlone() throws {
    let plain = try lossesAndGradient(on: PlainLoopsBackend())
    let cpu = try lossesAndGradient(on: try Backends.cpu.make())
    // Two layers in f32: a few hundred roundings of numbers that are about as large as the largest result.
    for (name, got, expected) in [
      ("losses", plain.losses, cpu.losses), ("gradient", plain.gradient, cpu.gradient),
    ] {
      let largest = expected.reduce(0) { max($0, Double(abs($1))) }
      try #require(largest > 0.1, "\(name)")
      expectClose(got, expected, within: 500 * 0x1p-24 * largest, .absolute, floor: 1, "\(name)")
    }
  }
}
