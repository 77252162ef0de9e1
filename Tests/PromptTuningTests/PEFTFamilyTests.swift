import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

/// Encoders and an encoder-decoder with adapters that PEFT saved, and what PEFT computes with them
/// (tools/fixtures/peft_families.py).
@Suite struct PEFTFamilyTests {
  static let names = ["bert-classifier", "roberta-features", "distilbert-classifier", "t5"]

  struct Fixture {
    let directory: URL
    let expected: SafetensorsFile
    let adapter: Adapter
    let prompted: PromptedModel

    init(_ name: String, on backend: any ComputeBackend) throws {
      directory = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
      expected = try SafetensorsFile(url: directory.appendingPathComponent("expected.safetensors"))
      adapter = try Adapter(directory: directory.appendingPathComponent("adapter"))
      let model = try ModelDirectory(directory).load(on: backend)
      try adapter.check(fits: model.facts)
      try adapter.install(into: model)
      prompted = PromptedModel(
        model: model,
        prompt: try StaticPrompt(
          values: adapter.prompt.values, length: adapter.prompt.length, width: adapter.prompt.width,
          isTrainable: false, on: backend))
    }

    func integers(_ name: String) throws -> [[Int32]] {
      try (0...).prefix { expected.entries["\(name).\($0)"] != nil }.map {
        try expected.integers(of: try #require(expected.entries["\(name).\($0)"]))
      }
    }

    /// All tensors `name.N` end to end.
    func floats(_ name: String) throws -> [Float] {
      try (0...).prefix { expected.entries["\(name).\($0)"] != nil }.flatMap {
        try expected.floats(of: try #require(expected.entries["\(name).\($0)"]))
      }
    }
  }

  @Test(arguments: Backends.available, names) func sameAsPEFT(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name, on: backend)
    let (prompted, ids) = (fixture.prompted, try fixture.integers("ids"))
    let tape = Tape(backend, isRecording: false)
    let got: Variable
    let expected: [Float]
    switch name {
    case "t5":
      let source = ExampleSource(file: "f", line: 1)
      let examples = zip(ids, try fixture.integers("target")).map {
        EncodedExample(source: source, context: $0, target: $1)
      }
      (got, expected) = (try prompted.losses(examples, on: tape), try fixture.floats("losses"))
    case "roberta-features":
      (got, expected) = (try prompted.encodeBidirectionally(ids, on: tape), try fixture.floats("hidden"))
    default:
      let classifier = try #require(prompted.model.storedClassifier)
      let first = try prompted.encodeBidirectionally(ids, outputs: .first, on: tape)
      (got, expected) = (try classifier.scores(first, on: tape), try fixture.floats("classes"))
    }
    let largest = expected.reduce(0) { max($0, Double(abs($1))) }
    expectClose(try backend.values(got.value), expected, within: 1e-4 * largest)
  }

  /// What is written reads back, and says what PEFT's own configuration says.
  ///
  /// tools/check-peft-families.py sets the variable, to let PEFT open what is written.
  @Test(arguments: names) func writtenAgain(_ name: String) throws {
    let backend = try Backends.cpu.make()
    let fixture = try Fixture(name, on: backend)
    let temporary = try TemporaryFolder()
    var url = temporary.url
    if let path = ProcessInfo.processInfo.environment["SOFTPROMPT_WRITTEN_ADAPTERS"] {
      url = URL(fileURLWithPath: path).appendingPathComponent(name)
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }
    var adapter = fixture.adapter
    adapter.path = url.path
    try adapter.write(to: url, facts: fixture.prompted.model.facts)
    #expect(try Adapter(directory: url) == adapter)
    func configuration(_ folder: URL) throws -> [String: Any] {
      let data = try Data(contentsOf: folder.appendingPathComponent(Adapter.configurationName))
      return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }
    let (ours, theirs) = try (
      configuration(url), configuration(fixture.directory.appendingPathComponent("adapter"))
    )
    for key in ["peft_type", "task_type"] { #expect(ours[key] as? String == theirs[key] as? String, "\(key)") }
    for key in ["num_virtual_tokens", "token_dim", "num_layers", "num_attention_heads"] {
      #expect(ours[key] as? Int == theirs[key] as? Int, "\(key)")
    }
    #expect(ours["num_transformer_submodules"] as? Int == 1)
    #expect((ours["modules_to_save"] as? [String] != nil) == !adapter.modules.isEmpty)
  }

  @Test func adaptersForOtherModels() throws {
    let backend = try Backends.cpu.make()
    let (t5, bert) = (try Fixture("t5", on: backend), try Fixture("bert-classifier", on: backend))
    var facts = bert.prompted.model.facts
    facts.embeddingWidth = t5.adapter.prompt.width
    #expect(throws: MethodError.self) { try t5.adapter.check(fits: facts) }
    let features = try Fixture("roberta-features", on: backend)
    #expect(throws: MethodError.self) { try bert.adapter.install(into: features.prompted.model) }
  }

  /// An encoder's input ends in the end token and has no newline; so does a target.
  @Test func textOfEncoderDecoders() throws {
    let backend = try Backends.cpu.make()
    let facts = try Fixture("t5", on: backend).prompted.model.facts
    var wide = facts
    wide.vocabularySize = 300
    let codec = try TextCodec(tokenizer: ByteTokenizer(), facts: wide)
    let example = Example(input: "ab", targets: ["c"], source: ExampleSource(file: "f", line: 1))
    let encoder = try ExampleEncoder(
      codec: codec, template: PlainTemplate(), truncation: [], maximumPositions: nil, promptLength: 5)
    let encoded = try encoder.encode(example)
    #expect(encoded.context == [97, 98, 256] && encoded.target == [99, 256])
    let empty = try encoder.encode(
      Example(input: "", targets: [""], source: ExampleSource(file: "f", line: 1)))
    #expect(empty.context == [256] && empty.target == [256])
    let cut = try ExampleEncoder(
      codec: codec, template: PlainTemplate(), truncation: .inputEnd, maximumPositions: 9, promptLength: 5)
    #expect(try cut.encode(example).context == [97, 256])
  }

  /// The gradient of a soft prompt in front of an encoder's input is that of differences.
  @Test(arguments: Backends.available) func promptGradientBehindADecoder(_ device: TestBackend) throws {
    let backend = try device.make()
    let fixture = try Fixture("t5", on: backend)
    let prompt = try #require(fixture.prompted.prompt as? StaticPrompt)
    let source = ExampleSource(file: "f", line: 1)
    let examples = zip(try fixture.integers("ids"), try fixture.integers("target")).map {
      EncodedExample(source: source, context: $0, target: $1)
    }
    prompt.embeddings.isTrainable = true
    let tape = Tape(backend)
    let losses = try fixture.prompted.losses(examples, on: tape)
    let cotangent = normals(losses.value.count, seed: 2)
    let gradients = try tape.gradients(of: losses, cotangent: try backend.tensor(cotangent, losses.shape))
    let gradient = try backend.values(try #require(gradients[prompt.embeddings]))
    let start = try backend.values(prompt.embeddings.value)
    let direction = normals(start.count, seed: 3)
    func value(_ step: Float) throws -> Double {
      let moved = zip(start, direction).map { $0 + step * $1 }
      try backend.copy(try backend.tensor(moved, prompt.embeddings.shape), to: prompt.embeddings.value)
      let values = try backend.values(
        try fixture.prompted.losses(examples, on: Tape(backend, isRecording: false)).value)
      return zip(values, cotangent).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    }
    let step: Float = 1e-3
    let difference = try (value(step) - value(-step)) / Double(2 * step)
    let expected = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let size = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    // Rounding of losses around 10 by 2^-24 each, over the step, and the curvature.
    expectClose([Float(difference)], [expected], within: 0.01 * size + 0.01)
  }
}
