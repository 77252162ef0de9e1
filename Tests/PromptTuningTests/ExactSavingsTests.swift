import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

/// What is left out changes nothing.
@Suite struct ExactSavingsTests {
  /// Texts that begin with the same 19 tokens; one of them has no others.
  private static let examples = [(5, 3), (0, 1), (9, 4), (2, 6)].enumerated().map { number, sizes in
    let tokens = randomIndices(sizes.0 + sizes.1, below: 258, seed: UInt64(number))
    return EncodedExample(
      source: ExampleSource(file: "f", line: number + 1),
      context: randomIndices(19, below: 258, seed: 20) + tokens.prefix(sizes.0), target: Array(tokens.suffix(sizes.1)))
  }

  private static let kinds: [(name: String, kind: PromptKind?, change: @Sendable (inout PromptOptions) -> Void)] = [
    ("no prompt", nil, { _ in }),
    ("in front", .static, { _ in }),
    ("behind", .static, { $0.position = .back }),
    ("around", .static, { $0.position = .count(3) }),
    ("learned position", .static, { $0.position = .task }),
    ("an instance's own", .pool, { $0.poolSize = 2 }),
    ("in every layer", .prefix, { _ in }),
  ]

  private struct Found {
    var losses: [Float]
    var gradients: [String: [Float]]
  }

  private static func run(_ model: PromptedModel, _ savings: ExactSavings, wanted: WantedRows? = nil) throws -> Found {
    let backend = model.backend
    let tape = Tape(backend, savings: savings)
    let values =
      try wanted.map { try model.hiddenStates(examples, $0, on: tape) } ?? model.losses(examples, on: tape)
    let losses = try backend.values(values.value)
    let cotangent = try backend.tensor(normals(losses.count, seed: 2), values.shape)
    let gradients = try tape.gradients(of: values, cotangent: cotangent)
    var found = Found(losses: losses, gradients: [:])
    for parameter in model.trainableParameters {
      found.gradients[parameter.name] = try gradients[parameter].map { try backend.values($0) }
    }
    return found
  }

  @Test(arguments: Backends.available) func ofACausalModel(_ device: TestBackend) throws {
    let backend = try device.make()
    for (name, kind, change) in Self.kinds {
      let model = try TinyModel.gpt2(on: backend, isTrainable: kind == nil)
      var prompt: any Prompt = NoPrompt()
      if let kind {
        var options = PromptOptions()
        change(&options)
        prompt = try PromptRequest(
          model: model, codec: try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts), length: 4,
          options: options, start: .random, seed: 3
        ).prompt(kind)
      }
      let prompted = PromptedModel(model: model, prompt: prompt)
      for wanted in [nil, WantedRows.last, .text] {
        let all = try Self.run(prompted, .all, wanted: wanted)
        #expect(!all.gradients.isEmpty)
        for savings in ExactSavings.named.map({ ExactSavings.all.subtracting($0.saving) }) + [[]] {
          let without = try Self.run(prompted, savings, wanted: wanted)
          let label = "\(name), \(wanted.map { "\($0)" } ?? "losses"), without \(savings.missing)"
          expectClose(
            all.losses, without.losses, within: 2e-5 * Double(without.losses.map(abs).max() ?? 0), .absolute, "\(label)"
          )
          #expect(Set(all.gradients.keys) == Set(without.gradients.keys), "\(label)")
          for (parameter, gradient) in without.gradients {
            let largest = Double(gradient.map(abs).max() ?? 0)
            expectClose(
              try #require(all.gradients[parameter]), gradient, within: 1e-4 * largest + 1e-6, .absolute,
              "\(label): \(parameter)")
          }
        }
      }
    }
  }

  /// Rows are really left out, and no row that somebody needs.
  @Test func whatIsShared() throws {
    let backend = try Backends.cpu.make()
    let model = try TinyModel.gpt2(on: backend)
    func rows(_ sharing: FrontSharing, _ savings: ExactSavings = .all, position: PromptPosition = .front) throws
      -> PromptedRows
    {
      var options = PromptOptions()
      options.position = position
      let prompt = try PromptRequest(
        model: model, codec: try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts), length: 4,
        options: options, start: .random, seed: 3
      ).prompt(.static)
      return try PromptedModel(model: model, prompt: prompt).promptedRows(
        Self.examples.map(\.context), closings: Self.examples.map { _ in 0 }, sharing: sharing,
        on: Tape(backend, savings: savings))
    }
    let texts = try rows(.texts)
    #expect(texts.shared == 4 + 18 && texts.lengths == [6, 1, 10, 3] && texts.embeddings.shape[0] == 42)
    #expect(texts.prefixes == nil)
    #expect(try rows(.virtualTokens).shared == 4 && rows(.nothing).shared == 0)
    #expect(try rows(.texts, ExactSavings.all.subtracting(.sharedFront)).embeddings.shape[0] == 4 * 23 + 16)
    // A prompt behind the texts has all of them in front, and nothing trainable in front of what they share.
    let behind = try rows(.texts, position: .back)
    #expect(behind.prefixes?.length == 16 && behind.shared == 2 && behind.lengths == [10, 5, 14, 7])
    let computed = try rows(.texts, ExactSavings.all.subtracting(.frozenFront), position: .back)
    #expect(computed.prefixes == nil && computed.shared == 18 && computed.lengths == behind.lengths)
    #expect(ExactSavings(without: ["shared-front"])?.missing == ["shared-front"])
    #expect(ExactSavings(without: ["anything"]) == nil)
  }

  /// What texts begin with is computed once for several steps, and never of a model that changes.
  @Test(arguments: Backends.available) func frontsAreKept(_ device: TestBackend) throws {
    let backend = try device.make()
    func prompted(isTrainable: Bool) throws -> PromptedModel {
      let model = try TinyModel.gpt2(on: backend, isTrainable: isTrainable)
      var options = PromptOptions()
      options.position = .back
      let prompt = try PromptRequest(
        model: model, codec: try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts), length: 4,
        options: options, start: .random, seed: 3
      ).prompt(.static)
      return PromptedModel(model: model, prompt: prompt)
    }
    func losses(_ model: PromptedModel, _ examples: [EncodedExample]) throws -> [Float] {
      try backend.values(try model.losses(examples, on: Tape(backend)).value)
    }
    // Texts of another task, which have more in common.
    let others = Self.examples.map {
      EncodedExample(source: $0.source, context: randomIndices(40, below: 258, seed: 8) + [7, 9], target: $0.target)
    }
    let frozen = try prompted(isTrainable: false)
    let first = try losses(frozen, Self.examples)
    #expect(try losses(frozen, others) == losses(try prompted(isTrainable: false), others))
    #expect(try losses(frozen, Self.examples) == first)
    #expect(frozen.frozenFronts.computed == 2)
    let changing = try prompted(isTrainable: true)
    _ = try losses(changing, Self.examples)
    #expect(changing.frozenFronts.computed == 0)
  }
}
