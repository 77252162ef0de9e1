import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@testable import Evaluation

@Suite struct TextDecoderTests {
  private struct Group: Hashable {
    var prompted: Bool
    var beams: Int
    var lengthPenalty: Double
    var limit: Int
  }

  /// Greedy and beam search as transformers' `generate` does them, many contexts of different lengths at a time.
  @Test(arguments: Backends.available, ["gpt2", "t5"]) func sameAsTransformers(_ device: TestBackend, _ family: String)
    throws
  {
    let fixture = try DecodingFixture(family, on: try device.make())
    let groups = Dictionary(grouping: fixture.cases) {
      Group(prompted: $0.prompted, beams: $0.beams, lengthPenalty: $0.length_penalty, limit: $0.max_new_tokens)
    }
    #expect(groups.count > 8)
    for (group, cases) in groups {
      let strategy: DecodingStrategy =
        group.beams == 1 ? .greedy : .beams(count: group.beams, lengthPenalty: group.lengthPenalty)
      let decoder = try TextDecoder(
        promptedModel: fixture.promptedModel(group.prompted), codec: fixture.codec,
        options: DecodingOptions(maxNewTokens: group.limit, strategy: strategy, batchSize: 3))
      let results = try decoder.generate(cases.map(\.context))
      for (result, expected) in zip(results, cases) {
        #expect(result.tokens == expected.tokens, "\(group) \(expected.context)")
        #expect(result.stop == (expected.stopped ? .endToken : .tokenLimit), "\(group) \(expected.context)")
        #expect(result.text == fixture.codec.decode(expected.tokens))
      }
    }
  }

  private static func contexts(_ count: Int, start: [Int32] = []) -> [[Int32]] {
    var generator = Philox(seed: 8, stream: 1)
    return (0..<count).map { _ in
      start + (0...generator.nextIndex(below: 12)).map { _ in Int32(generator.nextIndex(below: 200)) }
    }
  }

  private static func setting(_ backend: any ComputeBackend, prompt length: Int, positions: Int = 96) throws -> (
    model: PromptedModel, codec: TextCodec
  ) {
    let model = try TinyModel.gpt2(on: backend, positions: positions)
    let width = model.facts.embeddingWidth
    let prompt: any Prompt =
      length == 0
      ? NoPrompt()
      : try StaticPrompt(
        values: normals(length * width, seed: 3, deviation: 0.3), length: length, width: width, isTrainable: false,
        on: backend)
    return (
      PromptedModel(model: model, prompt: prompt), try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts)
    )
  }

  /// The best next token without a cache, one sequence at a time.
  private static func greedy(_ model: PromptedModel, _ codec: TextCodec, _ context: [Int32], limit: Int) throws
    -> [Int32]
  {
    var tokens = context
    while tokens.count < context.count + limit {
      let tape = Tape(model.backend, isRecording: false)
      let batch = try PackedBatch.causal(
        promptLength: model.prompt.length, [PackedSequence(length: tokens.count, outputs: 1)], on: model.backend)
      let hidden = try model.model.encode(try model.embed(tokens, on: tape), batch, cache: nil, on: tape)
      let scores = try model.backend.values(try model.model.logits(hidden, on: tape).value)
      let best = Int32(scores.indices.max { scores[$0] < scores[$1] } ?? 0)
      if codec.stopTokens.contains(best) { break }
      tokens.append(best)
    }
    return Array(tokens[context.count...])
  }

  @Test(arguments: Backends.available, [0, 5]) func cachedEqualsUncached(_ device: TestBackend, _ prompt: Int) throws {
    let (model, codec) = try Self.setting(try device.make(), prompt: prompt)
    let contexts = Self.contexts(6)
    let decoder = try TextDecoder(
      promptedModel: model, codec: codec, options: DecodingOptions(maxNewTokens: 10, batchSize: 4))
    let expected = try contexts.map { try Self.greedy(model, codec, $0, limit: 10) }
    #expect(try decoder.generate(contexts).map(\.tokens) == expected)
    #expect(Set(expected).count > 3)
  }

  /// Neither how many texts run together nor how much memory the cache may take changes a text.
  @Test(arguments: Backends.available) func batchesDoNotMatter(_ device: TestBackend) throws {
    let (model, codec) = try Self.setting(try device.make(), prompt: 3)
    let contexts = Self.contexts(9)
    let strategies: [DecodingStrategy] = [
      .greedy, .beams(count: 3), .sampling(SamplingOptions(temperature: 1.5, topK: 60, topP: 0.95, seed: 7)),
    ]
    for strategy in strategies {
      func generate(_ batchSize: Int, cacheBytes: Int = 1 << 30) throws -> [Generation] {
        try TextDecoder(
          promptedModel: model, codec: codec,
          options: DecodingOptions(
            maxNewTokens: 8, strategy: strategy, batchSize: batchSize, cacheBytes: cacheBytes)
        ).generate(contexts)
      }
      let together = try generate(100)
      #expect(try generate(1) == together, "\(strategy)")
      #expect(try generate(4) == together, "\(strategy)")
      #expect(try generate(100, cacheBytes: 0) == together, "\(strategy)")
      #expect(try generate(100, cacheBytes: 30_000) == together, "\(strategy)")
    }
  }

  /// A shared start is computed once; the texts are those of contexts that are continued alone.
  @Test(arguments: Backends.available) func sharedStarts(_ device: TestBackend) throws {
    let (model, codec) = try Self.setting(try device.make(), prompt: 3)
    let start = (0..<30).map { Int32($0 * 7 % 200) }
    // One context is nothing but the start: it keeps one token of its own.
    let contexts = Self.contexts(4, start: start) + [start]
    for strategy in [DecodingStrategy.greedy, .beams(count: 2)] {
      let decoder = try TextDecoder(
        promptedModel: model, codec: codec, options: DecodingOptions(maxNewTokens: 8, strategy: strategy))
      let alone = try contexts.map { try decoder.generate([$0])[0] }
      #expect(try decoder.generate(contexts) == alone)
    }
    let decoder = try TextDecoder(promptedModel: model, codec: codec, options: DecodingOptions(maxNewTokens: 8))
    let same = try decoder.generate([start, start, start])
    #expect(Set(same).count == 1)
  }

  @Test func drawnTextsDependOnTheirNumber() throws {
    let (model, codec) = try Self.setting(try Backends.cpu.make(), prompt: 0)
    let options = DecodingOptions(maxNewTokens: 12, strategy: .sampling(SamplingOptions(temperature: 3, seed: 1)))
    let decoder = try TextDecoder(promptedModel: model, codec: codec, options: options)
    let context: [Int32] = [65, 66, 67]
    let together = try decoder.generate([context, context, context])
    #expect(Set(together).count == 3)
    #expect(try decoder.generate([context], firstIndex: 2) == [together[2]])
  }

  @Test func theLastPositionIsReported() throws {
    let (model, codec) = try Self.setting(try Backends.cpu.make(), prompt: 4, positions: 16)
    for strategy in [DecodingStrategy.greedy, .beams(count: 2, lengthPenalty: 5)] {
      let decoder = try TextDecoder(
        promptedModel: model, codec: codec, options: DecodingOptions(maxNewTokens: 100, strategy: strategy))
      let results = try decoder.generate([[1, 2, 3], [Int32](repeating: 9, count: 11), [Int32](0..<7)])
      #expect(results.map(\.stop) == [.lastPosition, .lastPosition, .lastPosition])
      #expect(results.map(\.tokens.count) == [9, 1, 5])
    }
    let exact = try TextDecoder(promptedModel: model, codec: codec, options: DecodingOptions(maxNewTokens: 9))
    #expect(try exact.generate([[1, 2, 3]]).map(\.stop) == [.tokenLimit])
  }

  @Test func badContextsAreFoundBeforeAnythingIsGenerated() throws {
    let (model, codec) = try Self.setting(try Backends.cpu.make(), prompt: 4, positions: 16)
    let decoder = try TextDecoder(promptedModel: model, codec: codec, options: DecodingOptions(maxNewTokens: 2))
    let cases: [(context: [Int32], words: String)] = [
      ([Int32](repeating: 9, count: 12), "input 2 needs 13 positions with one new token, the model has 12"),
      ([], "input 2 has no tokens"), ([3, 258], "input 2 has the token 258"), ([-1], "input 2 has the token -1"),
    ]
    for (context, words) in cases {
      var finished = 0
      let error = #expect(throws: EvaluationError.self) {
        try decoder.generate([[1, 2], context]) { _, _ in finished += 1 }
      }
      #expect(error.map { "\($0)" }?.contains(words) == true, "\(String(describing: error))")
      #expect(finished == 0)
    }
    #expect(try decoder.generate([]) == [])
  }

  @Test func optionsThatMakeNoSense() {
    let options: [DecodingOptions] = [
      DecodingOptions(maxNewTokens: 0), DecodingOptions(batchSize: 0), DecodingOptions(cacheBytes: -1),
      DecodingOptions(strategy: .beams(count: 0)), DecodingOptions(strategy: .beams(count: 2, lengthPenalty: .nan)),
      DecodingOptions(strategy: .sampling(SamplingOptions(temperature: 0))),
      DecodingOptions(strategy: .sampling(SamplingOptions(temperature: .infinity))),
      DecodingOptions(strategy: .sampling(SamplingOptions(topK: 0))),
      DecodingOptions(strategy: .sampling(SamplingOptions(topP: 0))),
      DecodingOptions(strategy: .sampling(SamplingOptions(topP: 1.1))),
    ]
    for option in options { #expect(throws: EvaluationError.self) { try option.validate() } }
  }

  /// Broken weights are an error that names the input, not a text.
  @Test func scoresThatAreNotFinite() throws {
    let backend = try Backends.cpu.make()
    let (model, codec) = try Self.setting(backend, prompt: 0)
    let table = model.model.tokenEmbedding.value
    try backend.write([Float](repeating: .nan, count: 24).withUnsafeBytes { Data($0) }, to: try table.rows(90..<91))
    let decoder = try TextDecoder(promptedModel: model, codec: codec, options: DecodingOptions(maxNewTokens: 4))
    let error = #expect(throws: EvaluationError.self) { try decoder.generate([[1, 2], [90]]) }
    #expect(error.map { "\($0)" }?.contains("is not finite") == true)
  }
}

extension ComputeBackend {
  fileprivate func write(_ data: Data, to tensor: Tensor) throws {
    try data.withUnsafeBytes { try write($0, to: tensor) }
  }
}
