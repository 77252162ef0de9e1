import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@Suite struct PromptedModelTests {
  private static let lengths: [(context: Int, target: Int)] = [(5, 3), (1, 1), (9, 4), (2, 6)]

  private static func examples(_ lengths: [(context: Int, target: Int)] = lengths) -> [EncodedExample] {
    lengths.enumerated().map { number, length in
      let tokens = randomIndices(length.context + length.target, below: 258, seed: UInt64(number))
      return EncodedExample(
        source: ExampleSource(file: "f", line: number + 1), context: Array(tokens.prefix(length.context)),
        target: Array(tokens.suffix(length.target)))
    }
  }

  private static func prompted(_ backend: any ComputeBackend, length: Int) throws -> (PromptedModel, StaticPrompt) {
    let model = try TinyModel.gpt2(on: backend)
    let width = model.facts.embeddingWidth
    let prompt = try StaticPrompt(
      values: normals(length * width, seed: 9, deviation: 0.4), length: length, width: width, isTrainable: true,
      on: backend)
    return (PromptedModel(model: model, prompt: prompt), prompt)
  }

  /// One prompt shared by a packed batch gives what each example gives behind its own copy of the prompt: losses and,
  /// under random cotangents, the prompt's gradient.
  @Test(arguments: Backends.available, [1, 4]) func sharedPromptEqualsOneAtATime(
    _ device: TestBackend, _ length: Int
  ) throws {
    let backend = try device.make()
    let (prompted, prompt) = try Self.prompted(backend, length: length)
    let examples = Self.examples()
    let targets = examples.reduce(0) { $0 + $1.target.count }
    let cotangent = normals(targets, seed: 2)

    let tape = Tape(backend)
    let packed = try prompted.losses(examples, on: tape)
    let packedLosses = try backend.values(packed.value)
    let gradients = try tape.gradients(of: packed, cotangent: try backend.tensor(cotangent, [targets]))
    let packedGradient = try backend.values(try #require(gradients[prompt.embeddings]))
    #expect(gradients.count == 1, "only the prompt has a gradient")

    var losses: [Float] = []
    var gradient = [Double](repeating: 0, count: packedGradient.count)
    for example in examples {
      let tape = Tape(backend)
      let tokens = example.context + example.target.dropLast()
      let rows = length + tokens.count
      // The prompt's rows are ordinary rows of one causal sequence here.
      let batch = try PackedBatch.causal(
        promptLength: 0, [PackedSequence(length: rows, outputs: example.target.count)], on: backend)
      let hidden = try prompted.model.encode(try prompted.embed(tokens, on: tape), batch, cache: nil, on: tape)
      let loss = try prompted.model.losses(hidden, try backend.indices(example.target), on: tape)
      let part = Array(cotangent[losses.count..<losses.count + example.target.count])
      losses += try backend.values(loss.value)
      let own = try tape.gradients(of: loss, cotangent: try backend.tensor(part, [part.count]))
      for (place, value) in try backend.values(try #require(own[prompt.embeddings])).enumerated() {
        gradient[place] += Double(value)
      }
    }
    expectClose(packedLosses, losses, within: 2e-5 * Double(losses.max() ?? 0))
    let largest = gradient.reduce(0) { max($0, abs($1)) }
    #expect(largest > 0.01)
    expectClose(packedGradient, gradient, within: 5e-5 * largest)
  }

  /// On the CPU an example's losses are the same to the last bit in every company.
  ///
  /// The examples have more rows than those for which the backend forms sums in another order.
  @Test func companyDoesNotMatter() throws {
    let backend = try Backends.cpu.make()
    let (prompted, _) = try Self.prompted(backend, length: 4)
    func losses(_ examples: [EncodedExample]) throws -> [Float] {
      try backend.values(try prompted.losses(examples, on: Tape(backend, isRecording: false)).value)
    }
    let examples = Self.examples([(20, 18), (30, 25), (17, 17)])
    let together = try losses(examples)
    #expect(try examples.flatMap { try losses([$0]) } == together)
    let reversed = try losses(examples.reversed())
    #expect(reversed.suffix(examples[0].target.count) == together.prefix(examples[0].target.count))
  }

  @Test(arguments: Backends.available) func promptsWithoutRows(_ device: TestBackend) throws {
    let backend = try device.make()
    let model = try TinyModel.gpt2(on: backend)
    let examples = Self.examples()
    let none = PromptedModel(model: model, prompt: NoPrompt())
    let empty = PromptedModel(
      model: model, prompt: try StaticPrompt(values: [], length: 0, width: 24, isTrainable: false, on: backend))
    let tape = Tape(backend, isRecording: false)
    let losses = try backend.values(try none.losses(examples, on: tape).value)
    #expect(try backend.values(try empty.losses(examples, on: tape).value) == losses)
    #expect(none.trainableParameters.isEmpty)
  }

  @Test func fineTuningTrainsEverything() throws {
    let backend = try Backends.cpu.make()
    let model = try TinyModel.gpt2(on: backend, isTrainable: true)
    let prompted = PromptedModel(model: model, prompt: NoPrompt())
    #expect(prompted.trainableParameters.count == model.parameters.count)
    let tape = Tape(backend)
    let losses = try prompted.losses(Self.examples(), on: tape)
    let gradients = try tape.gradients(
      of: losses, cotangent: try backend.tensor(normals(losses.shape.count, seed: 1), losses.shape))
    for parameter in model.parameters {
      let gradient = try #require(gradients[parameter], "\(parameter.name)")
      #expect(try backend.values(gradient).contains { $0 != 0 }, "\(parameter.name)")
    }
  }
}

@Suite struct PromptInitializationTests {
  private struct Setting {
    let model: any LanguageModel
    let codec: TextCodec
    let table: [Float]

    init() throws {
      let backend = try Backends.cpu.make()
      model = try TinyModel.gpt2(on: backend)
      codec = try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts)
      table = try backend.values(model.tokenEmbedding.value)
    }

    func row(_ token: Int) -> [Float] { Array(table[token * 24..<(token + 1) * 24]) }

    func values(_ start: PromptInitialization, length: Int, seed: UInt64 = 1) throws -> [Float] {
      try start.values(length: length, model: model, codec: codec, seed: seed)
    }
  }

  @Test func randomIsAsLargeAsTheEmbeddings() throws {
    let setting = try Setting()
    let values = try setting.values(.random, length: 200)
    #expect(values.count == 200 * 24)
    func scale(_ values: [Float]) -> Double {
      (values.reduce(0) { $0 + Double($1) * Double($1) } / Double(values.count)).squareRoot()
    }
    // The deviation of 4,800 normal numbers is known to 1 part in sqrt(2 * 4800), about 1%.
    #expect(abs(scale(values) / scale(setting.table) - 1) < 0.05)
    #expect(abs(values.reduce(0) { $0 + Double($1) } / Double(values.count)) < 0.02)
    #expect(try setting.values(.random, length: 200) == values)
    #expect(try setting.values(.random, length: 200, seed: 2) != values)
  }

  @Test func vocabularyRowsAreDrawnOnce() throws {
    let setting = try Setting()
    let values = try setting.values(.vocabulary, length: 50)
    let rows = (0..<50).map { place in
      (0..<258).first { setting.row($0) == Array(values[place * 24..<(place + 1) * 24]) }
    }
    #expect(!rows.contains(nil))
    #expect(Set(rows).count == 50)
    #expect(try setting.values(.vocabulary, length: 50) == values)
    #expect(try setting.values(.vocabulary, length: 50, seed: 2) != values)
    #expect(throws: MethodError.self) { try setting.values(.vocabulary, length: 300) }
  }

  @Test func textIsRepeatedOrCut() throws {
    let setting = try Setting()
    let tokens = Array("abc".utf8).map(Int.init)
    #expect(try setting.values(.text("abc"), length: 2) == setting.row(tokens[0]) + setting.row(tokens[1]))
    let long = try setting.values(.text("abc"), length: 5)
    #expect(long == [0, 1, 2, 0, 1].flatMap { setting.row(tokens[$0]) })
    #expect(throws: MethodError.self) { try setting.values(.text(""), length: 3) }
  }

  @Test func adaptersMustFit() throws {
    let setting = try Setting()
    func adapter(_ length: Int, _ width: Int) -> PromptInitialization {
      .adapter(
        Adapter(
          path: "/a",
          prompt: Adapter.PromptValues(
            length: length, width: width, values: (0..<length * width).map(Float.init)), settings: nil,
          baseModel: nil))
    }
    #expect(try setting.values(adapter(2, 24), length: 2) == (0..<48).map(Float.init))
    #expect(throws: MethodError.self) { try setting.values(adapter(2, 24), length: 3) }
    #expect(throws: MethodError.self) { try setting.values(adapter(2, 12), length: 2) }
  }
}
