import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@testable import Evaluation

/// Cached decoding with prompts of every kind, next to the model's scores of whole texts; votes of prompts.
@Suite struct PromptDecodingTests {
  private struct Setting: CustomTestStringConvertible {
    var kind: PromptKind
    var options = PromptOptions()
    var testDescription: String { "\(kind.rawValue) \(options.position) \(options.length)" }

    init(_ kind: PromptKind, _ change: (inout PromptOptions) -> Void = { _ in }) {
      self.kind = kind
      change(&options)
      options.prefixDeviation = 0.6
    }
  }

  private static let settings = [
    Setting(.static), Setting(.prefix), Setting(.prefixMLP), Setting(.static) { $0.position = .back },
    Setting(.static) { $0.position = .instance }, Setting(.static) { $0.length = .instance },
    Setting(.pool) { ($0.position, $0.order) = (.task, .cyclic) },
  ]

  private static func model(_ name: String, on backend: any ComputeBackend) throws -> any LanguageModel {
    guard name == "t5" else { return try TinyModel.gpt2(on: backend) }
    let url = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/t5")
    return try ModelDirectory(url).load(on: backend)
  }

  private static func contexts(_ model: any LanguageModel) -> [[Int32]] {
    let bound = min(model.facts.vocabularySize, 250)
    // Some begin alike, so that what they share is computed once.
    return [4, 1, 7, 7].enumerated().map { number, count in
      Array(([3, 5, 8] + randomIndices(count, below: bound, seed: UInt64(number))).prefix(count + 2))
    }
  }

  @Test(arguments: Backends.available, ["gpt2", "t5"]) func cachedDecodingIsGreedy(
    _ device: TestBackend, _ name: String
  ) throws {
    let backend = try device.make()
    let model = try Self.model(name, on: backend)
    let end = Int32(model.facts.endTokens.first ?? 1)
    let codec = try TextCodec(tokenizer: ByteTokenizer(endToken: end), facts: model.facts)
    for setting in Self.settings {
      let request = PromptRequest(
        model: model, codec: codec, length: 3, options: setting.options, start: setting.kind.kind.defaultStart, seed: 4)
      let prompted = PromptedModel(model: model, prompt: try request.prompt(setting.kind))
      let contexts = Self.contexts(model)
      for strategy in [DecodingStrategy.greedy, .beams(count: 1)] {
        let decoder = try TextDecoder(
          promptedModel: prompted, codec: codec,
          options: DecodingOptions(maxNewTokens: 5, strategy: strategy, batchSize: 3))
        for (context, generation) in try zip(contexts, decoder.generate(contexts)) {
          // The whole text at a time: each new token is the best one behind what stands before it.
          let target = generation.tokens + [end]
          let example = EncodedExample(
            source: ExampleSource(file: "f", line: 1), context: context, target: target, closing: codec.closing.count)
          let tape = Tape(backend, isRecording: false)
          let hidden = try prompted.hiddenStates([example], .targets, on: tape)
          let best = try backend.integers(try backend.argmaxRows(try model.logits(hidden, on: tape).value))
          let stops = generation.stop == .endToken
          #expect(
            Array(best.prefix(generation.tokens.count)) == generation.tokens,
            "\(name) \(setting.testDescription) \(strategy)")
          #expect(!stops || codec.stopTokens.contains(best[generation.tokens.count]))
        }
      }
    }
  }

  /// Copies of an example in one batch, each with a prompt of its own, give what the prompts give one at a time.
  @Test func membersInOneBatch() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let codec = try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts)
    func member(_ length: Int, _ position: PromptPosition) throws -> any Prompt {
      var options = PromptOptions()
      options.position = position
      return try PromptRequest(
        model: model, codec: codec, length: length, options: options, start: .random, seed: UInt64(length)
      ).prompt(.static)
    }
    let members = [try member(3, .front), try member(2, .front), try member(3, .instance)]
    let examples = Self.contexts(model).map {
      EncodedExample(source: ExampleSource(file: "f", line: 1), context: $0, target: [7, 9, 256])
    }
    func losses(_ prompt: any Prompt, _ examples: [EncodedExample]) throws -> [Float] {
      try model.backend.values(
        PromptedModel(model: model, prompt: prompt).losses(examples, on: Tape(model.backend, isRecording: false)).value)
    }
    let together = try losses(try EnsemblePrompt(members), examples.flatMap { [$0, $0, $0] })
    for (number, member) in members.enumerated() {
      let alone = try losses(member, examples)
      // Three losses of three members for each example.
      let part = together.enumerated().filter { $0.offset / 3 % 3 == number }.map(\.element)
      expectClose(part, alone, within: 1e-4, .absolute, "member \(number)")
    }
    // Five times the same prompt is that prompt.
    var options = EvaluatorOptions(decoding: DecodingOptions(maxNewTokens: 4))
    let encoder = try ExampleEncoder(
      codec: codec, template: PlainTemplate(), truncation: [], maximumPositions: 96, promptLength: 3)
    let one = try Evaluator(
      promptedModel: PromptedModel(model: model, prompt: members[0]), encoder: encoder, options: options)
    options.memberCount = 5
    let five = try Evaluator(
      promptedModel: PromptedModel(
        model: model, prompt: try EnsemblePrompt([any Prompt](repeating: members[0], count: 5))),
      encoder: encoder, options: options)
    #expect(try five.generate(examples).map(\.tokens) == one.generate(examples).map(\.tokens))
    expectClose(
      try five.losses(examples).map { Float($0.total) }, try one.losses(examples).map { Float($0.total) }, within: 1e-4)
    let prefix = try PromptRequest(model: model, codec: codec, length: 2, start: .random).prompt(.prefix)
    #expect(throws: MethodError.self) { try EnsemblePrompt([members[0], prefix]) }
  }

  @Test func majorities() {
    #expect(MajorityVote.winner(["a", "b", "b"]) == 1)
    #expect(MajorityVote.winner(["a", "b", "b", "a"]) == 0)
    #expect(MajorityVote.winner([3, 1, 2]) == 0)
  }
}
