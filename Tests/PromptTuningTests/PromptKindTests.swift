import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

/// Sizes, equalities and refusals of the kinds of prompt.
@Suite struct PromptKindTests {
  private static let length = 4

  private static func request(
    _ model: any LanguageModel, start: PromptInitialization = .random, length: Int = length, labels: [String] = [],
    _ change: (inout PromptOptions) -> Void = { _ in }
  ) throws -> PromptRequest {
    var options = PromptOptions()
    change(&options)
    return PromptRequest(
      model: model, codec: try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts), length: length,
      options: options, start: start, labels: labels, seed: 3)
  }

  private static let examples = [(5, 3), (1, 1), (9, 4)].enumerated().map { number, sizes in
    let tokens = randomIndices(sizes.0 + sizes.1, below: 258, seed: UInt64(number))
    return EncodedExample(
      source: ExampleSource(file: "f", line: number + 1), context: Array(tokens.prefix(sizes.0)),
      target: Array(tokens.suffix(sizes.1)))
  }

  private static func losses(_ model: any LanguageModel, _ prompt: any Prompt) throws -> [Float] {
    let tape = Tape(model.backend, isRecording: false)
    return try model.backend.values(PromptedModel(model: model, prompt: prompt).losses(examples, on: tape).value)
  }

  private static func set(_ prompt: any Prompt, _ name: String, _ values: [Float]) throws {
    let parameter = try #require(prompt.parameters.first { $0.name == name })
    parameter.value = try Backends.cpu.make().tensor(values, parameter.shape)
  }

  @Test func parameterCounts() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let (l, d) = (Self.length, model.facts.embeddingWidth)
    func count(_ kind: PromptKind, _ change: (inout PromptOptions) -> Void = { _ in }) throws -> Int {
      try Self.request(model, change).prompt(kind).parameters.reduce(0) { $0 + $1.count }
    }
    #expect(try count(.static) == l * d)
    #expect(try count(.static) { $0.position = .task } == l * d + l + 1)
    #expect(try count(.static) { $0.position = .instance } == l * d + (d + 1) * (l + 1))
    #expect(try count(.static) { $0.length = .task } == l * d + l + 1)
    #expect(
      try count(.static) { ($0.position, $0.length) = (.instance, .task) } == l * d + (d + 1) * (l + 1) + l + 1)
    #expect(try count(.pool) { $0.poolSize = 3 } == 3 * l * d + (d + 1) * 3)
    #expect(try count(.prefix) == l * 2 * model.facts.layers * model.facts.keyWidth)
    #expect(try count(.mlp) { $0.reparameterizationWidth = 5 } == l * d + (d + 1) * 5 + (5 + 1) * d)
    let large = ModelFacts(
      modelType: "roberta", kind: .encoder, embeddingWidth: 1024, hiddenWidth: 1024, layers: 24, heads: 16,
      vocabularySize: 50265, maximumPositions: 512, endTokens: [2])
    #expect(8 * (try PrefixLayout(large, decoderLayers: nil).width) == 393_216)
  }

  @Test func crosswiseSlices() throws {
    func slices(_ layers: Int, inner: Int = 12) throws -> [[Int]] {
      let facts = ModelFacts(
        modelType: "t5", kind: .encoderDecoder, embeddingWidth: 12, hiddenWidth: 12, layers: layers, heads: 3,
        keyWidth: inner, vocabularySize: 9, maximumPositions: nil, endTokens: [1])
      let layout = try PrefixLayout(facts, decoderLayers: layers)
      #expect(layout.isKnownToPEFT == (inner == 12))
      return (0..<layers).map { [layout.slices(ofLayer: $0).keys, layout.slices(ofLayer: $0).values] }
    }
    #expect(try slices(2) == [[0, 1], [0, 1]])
    #expect(try slices(3) == [[0, 1], [4, 5], [2, 3]])
    #expect(try slices(2, inner: 15) == [[0, 1], [2, 3]])
  }

  /// A learned position that is held at no token behind is the prompt in front, bit for bit; held at all tokens behind, it
  /// is the prompt behind.
  @Test(arguments: Backends.available) func heldPositions(_ device: TestBackend) throws {
    let model = try TinyModel.gpt2(on: try device.make())
    let front = try Self.request(model).prompt(.static)
    let back = try Self.request(model) { $0.position = .back }.prompt(.static)
    let learned = try Self.request(model) { $0.position = .task }.prompt(.static)
    let scores = try #require(learned.parameters.first { $0.name == "position_scores" })
    func hold(_ option: Int) throws {
      scores.value = try model.backend.tensor((0...Self.length).map { $0 == option ? 9 : 0 }, scores.shape)
    }
    try hold(0)
    #expect(try Self.losses(model, learned) == Self.losses(model, front))
    try hold(Self.length)
    #expect(try Self.losses(model, learned) == Self.losses(model, back))
    #expect(try Self.losses(model, front) != Self.losses(model, back))
    // All in front as a number of tokens is the same as all in front.
    let counted = try Self.request(model) { $0.position = .count(Self.length) }.prompt(.static)
    #expect(try Self.losses(model, counted) == Self.losses(model, front))
  }

  @Test(arguments: Backends.available) func poolOfOneIsItsPrompt(_ device: TestBackend) throws {
    let model = try TinyModel.gpt2(on: try device.make())
    let one = try Self.request(model).prompt(.static)
    let pool = try Self.request(model) { $0.poolSize = 1 }.prompt(.pool)
    expectClose(try Self.losses(model, pool), try Self.losses(model, one), within: 1e-4)
  }

  @Test func lengthHeldIsAShorterPrompt() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let whole = try #require(try Self.request(model).prompt(.static) as? StaticPrompt)
    let rows = try model.backend.values(whole.embeddings.value)
    let short = try StaticPrompt(
      values: Array(rows.prefix(2 * 24)), length: 2, width: 24, isTrainable: false, on: model.backend)
    let learned = try Self.request(model) { $0.length = .task }.prompt(.static)
    try Self.set(learned, "length_scores", [0, 0, 9, 0, 0])
    expectClose(try Self.losses(model, learned), try Self.losses(model, short), within: 1e-4)
  }

  @Test func placements() {
    let text = ["a", "b", "c", "end"]
    func arranged(_ behind: Int, _ order: PromptOptions.Order, kept: Int? = nil) -> String {
      PromptPlacement(count: 3, behind: behind, kept: kept, order: order).arrange(text, closing: 1) { "\($0)" }
        .joined(separator: " ")
    }
    #expect(arranged(0, .paper) == "0 1 2 a b c end")
    #expect(arranged(1, .paper) == "0 1 a b c 2 end")
    #expect(arranged(1, .cyclic) == "1 2 a b c 0 end")
    #expect(arranged(3, .paper) == "a b c 0 1 2 end")
    #expect(arranged(0, .paper, kept: 1) == "0 a b c end")
    #expect(arranged(1, .paper, kept: 2) == "0 a b c 1 end")
    #expect(arranged(1, .cyclic, kept: 2) == "1 a b c 0 end")
    // A place beyond the length is the length: all that there are stand behind.
    #expect(arranged(3, .paper, kept: 2) == "a b c 0 1 end")
    #expect(arranged(2, .cyclic, kept: 0) == "a b c end")
    let placement = PromptPlacement(count: 3, behind: 2, order: .paper)
    #expect((0..<4).map { placement.place(ofToken: $0, in: 4, closing: 1) } == [1, 2, 3, 6])
  }

  @Test func temperatures() {
    let schedule = TemperatureSchedule()
    for (step, expected) in [(0, 1.0), (100, 0.985), (200, 0.94), (400, 0.79), (600, 0.58), (680, 0.5), (20000, 0.5)] {
      guard abs(schedule.temperature(after: step) - expected) <= 0.006 else {
        Issue.record("after \(step): \(schedule.temperature(after: step))")
        continue
      }
    }
    #expect(schedule.temperature(after: 679) > 0.5 || schedule.temperature(after: 680) == 0.5)
  }

  /// What a step draws follows from seed, step and row alone; steps differ, and evaluation draws nothing.
  @Test func draws() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let prompt = try Self.request(model) { $0.position = .instance }.prompt(.static)
    let prompted = PromptedModel(model: model, prompt: prompt)
    func losses(_ step: Int, parts: [Range<Int>]) throws -> [Float] {
      prompted.begin(step: step)
      return try parts.flatMap { part in
        try model.backend.values(prompted.losses(Array(Self.examples[part]), on: Tape(model.backend)).value)
      }
    }
    let whole = try losses(5, parts: [0..<3])
    expectClose(try losses(5, parts: [0..<1, 1..<3]), whole, within: 1e-4)
    #expect(try losses(5, parts: [0..<3]) == whole)
    let others = try (6..<12).map { try losses($0, parts: [0..<3]) }
    #expect(others.contains { zip($0, whole).contains { abs($0 - $1) > 1e-3 } })
    #expect(prompted.featuresComputed == 3)
    #expect(try Self.losses(model, prompt) == Self.losses(model, prompt))
  }

  /// Gumbel noise makes the largest score a draw from the softmax of the scores, whatever the temperature is.
  @Test func drawsFollowTheSoftmax() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let request = try Self.request(model)
    let network = try ChoiceNetwork("position", options: 4, isByInstance: false, request, stream: 77)
    let scores: [Float] = [0.5, -1, 1.2, 0]
    network.parameters[0].value = try model.backend.tensor(scores, [1, 4])
    let count = 4000
    var hits = [0, 0, 0, 0]
    for step in 1...count {
      let batch = PromptBatch(
        texts: [[1]], closings: [0], features: { try model.backend.zeros([1, 24]) },
        draw: PromptDraw(step: step, firstRow: 0))
      let tape = Tape(model.backend)
      let chosen = try network(batch, on: tape)
      hits[chosen.options[0]] += 1
      guard step <= 20 else { continue }
      let soft = try model.backend.values(chosen.soft.value)
      #expect(abs(soft.reduce(0, +) - 1) < 1e-5 && soft.max() == soft[chosen.options[0]])
    }
    let sum = scores.reduce(0.0) { $0 + exp(Double($1)) }
    for (option, score) in scores.enumerated() {
      let expected = exp(Double(score)) / sum
      // Five deviations of the share.
      let bound = 5 * (expected * (1 - expected) / Double(count)).squareRoot()
      guard abs(Double(hits[option]) / Double(count) - expected) <= bound else {
        Issue.record("option \(option): \(hits[option]) of \(count), \(expected) expected")
        continue
      }
    }
  }

  @Test func dropoutInTrainingOnly() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let prompt = try Self.request(model) { ($0.prefixDropout, $0.prefixDeviation) = (0.5, 1) }.prompt(.prefix)
    let prompted = PromptedModel(model: model, prompt: prompt)
    func recorded() throws -> [Float] {
      try model.backend.values(prompted.losses(Self.examples, on: Tape(model.backend)).value)
    }
    let whole = try Self.losses(model, prompt)
    expectClose(try recorded(), whole, within: 1e-5)
    prompted.begin(step: 1)
    let dropped = try recorded()
    #expect(zip(dropped, whole).contains { abs($0 - $1) > 1e-3 })
    prompted.begin(step: 1)
    #expect(try recorded() == dropped)
  }

  /// The start of a prompt from labels: the mean of each one's token embeddings.
  @Test func startFromLabels() throws {
    let model = try TinyModel.gpt2(on: try Backends.cpu.make())
    let prompt = try #require(
      try Self.request(model, start: .labels, labels: ["no", "yes"]).prompt(.static) as? StaticPrompt)
    let table = try model.backend.values(model.tokenEmbedding.value)
    let rows = try model.backend.values(prompt.embeddings.value)
    for (row, label) in ["no", "yes"].enumerated() {
      let mean = (0..<24).map { column in
        let sum = label.utf8.reduce(0.0) { $0 + Double(table[Int($1) * 24 + column]) }
        return Float(sum / Double(label.utf8.count))
      }
      #expect(Array(rows[row * 24..<(row + 1) * 24]) == mean)
    }
    #expect(throws: MethodError.self) { try Self.request(model, start: .labels).prompt(.static) }
    #expect(throws: MethodError.self) { try Self.request(model, start: .vocabulary).prompt(.prefix) }
  }

  @Test func refusals() throws {
    func refused(_ name: String, _ word: String, _ change: (inout Method) -> Void) throws {
      var method = try Method.named(name)
      change(&method)
      do {
        try method.validate()
        Issue.record("\(name) with \(word) passes")
      } catch let error as MethodError {
        #expect("\(error)".contains(word), "\(error)")
      }
    }
    try refused("p-tuning-v2", "--position") { $0.promptOptions.position = .back }
    try refused("prefix-tuning", "--length") { $0.promptOptions.length = .task }
    try refused("dynamic", "--trainable all") { $0.trainable = .all }
    try refused("prompt-tuning", "--position 21") { $0.promptOptions.position = .count(21) }
    try refused("prompt-tuning", "--reparameterization-width") { $0.promptOptions.reparameterizationWidth = 4 }
    try refused("prompt-tuning", "--prefix-dropout") { $0.promptOptions.prefixDropout = 0.1 }
    try refused("dynamic", "--temperature") { $0.promptOptions.temperature = 0.1 }
    try refused("dynamic", "--pool-size") {
      $0.prompt = .pool
      $0.promptOptions.poolSize = 0
    }
    for name in Method.names { try Method.named(name).validate() }
  }
}
