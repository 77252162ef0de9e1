import Autodiff
import Compute
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

/// What networks of a prompt read of texts, and that it does not depend on what is computed together.
@Suite struct FeatureTests {
  private static let texts = [5, 1, 9, 5, 12, 3].enumerated().map { number, count in
    randomIndices(count, below: 250, seed: UInt64(30 + number))
  }

  private static func rows(_ tensor: Tensor, on backend: any ComputeBackend) throws -> [[Float]] {
    let values = try backend.values(tensor)
    let width = tensor.shape.columns
    return (0..<tensor.shape[0]).map { Array(values[$0 * width..<($0 + 1) * width]) }
  }

  /// Rounding of another block size in every layer of a small model.
  private static let tolerance = 1e-5

  @Test(arguments: Backends.available) func groupsDoNotMatter(_ device: TestBackend) throws {
    let model = try TinyModel.gpt2(on: try device.make())
    let together = try Self.rows(try FeatureCache(model).features(of: Self.texts), on: model.backend)
    for (number, text) in Self.texts.enumerated() {
      let alone = try Self.rows(try FeatureCache(model).features(of: [text]), on: model.backend)
      expectClose(together[number], alone[0], within: Self.tolerance, .absolute, "text \(number)")
    }
    // Features are the mean of hidden states that the model computes for the text alone.
    let tape = Tape(model.backend, isRecording: false)
    let batch = try PackedBatch.causal(promptLength: 0, [PackedSequence(length: 9, outputs: 9)], on: model.backend)
    let states = try Self.rows(
      try model.encode(try model.embed(Self.texts[2], on: tape), batch, cache: nil, on: tape).value, on: model.backend)
    let mean = states[0].indices.map { column in
      Float(states.reduce(0.0) { $0 + Double($1[column]) } / Double(states.count))
    }
    expectClose(together[2], mean, within: Self.tolerance, .absolute, "mean")
  }

  /// What is known is not computed again, a text that comes twice counts once, and a run that goes on with what was kept
  /// has the same bits.
  @Test func keptFeaturesGoOn() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let whole = FeatureCache(model)
    _ = try whole.features(of: [Self.texts[0], Self.texts[1], Self.texts[0]])
    #expect(whole.seen.fingerprints.count == 2)
    let state = whole.seen
    let later = [Self.texts[2], Self.texts[0], Self.texts[3], Self.texts[4]]
    let expected = try model.backend.values(try whole.features(of: later))
    let resumed = FeatureCache(model)
    resumed.restore(state)
    #expect(try model.backend.values(try resumed.features(of: later)) == expected)
    #expect(resumed.seen == whole.seen && whole.seen.fingerprints.count == 5)
    #expect(try model.backend.values(try whole.features(of: later)) == expected)
  }

  /// Beyond the memory for them, features are computed alone each time, whatever the others are.
  @Test func fullMemory() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let two = 2 * model.facts.hiddenWidth * 4
    let cache = FeatureCache(model, capacity: two)
    let first = try model.backend.values(try cache.features(of: Self.texts))
    #expect(cache.seen.fingerprints.count == 6 && cache.seen.values.count * 4 == two)
    #expect(try model.backend.values(try cache.features(of: Self.texts)) == first)
    #expect(cache.seen.fingerprints.count == 6)
    let last = try Self.rows(try cache.features(of: [Self.texts[5]]), on: model.backend)
    #expect(last[0] == Array(first.suffix(model.facts.hiddenWidth)))
    let resumed = FeatureCache(model, capacity: two)
    resumed.restore(cache.seen)
    #expect(try model.backend.values(try resumed.features(of: Self.texts)) == first)
  }

  @Test func paddingIsRefusedWhereItIsNotDefined() throws {
    let backend = try Backends.cpu.make()
    let model = try TinyModel.gpt2(on: backend)
    var options = PromptOptions()
    (options.position, options.features) = (.instance, .paddedMean)
    let request = PromptRequest(
      model: model, codec: try TextCodec(tokenizer: ByteTokenizer(padToken: 3), facts: model.facts), length: 2,
      options: options, start: .random)
    let error = #expect(throws: MethodError.self) { try request.prompt(.static) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("--features padded-mean"))
  }
}
