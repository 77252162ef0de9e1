import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

/// Labels of words by adapters that PEFT saved: what PEFT computes with them, and its gradients
/// (tools/fixtures/token_heads.py).
@Suite struct TokenHeadFixtureTests {
  static let names = [
    "token-bert", "token-bert-prefix", "token-roberta", "token-distilbert", "token-gpt2", "token-gpt2-prefix",
    "token-llama",
  ]
  static let withHead = ["token-bert", "token-roberta", "token-gpt2", "token-llama"]

  struct Fixture {
    let directory: URL
    let expected: SafetensorsFile
    let adapter: Adapter
    let model: any LanguageModel
    let codec: TextCodec
    let record: HeadRecord
    let task: TaskModel
    let examples: [EncodedExample]

    init(_ name: String, on backend: any ComputeBackend) throws {
      directory = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
      expected = try SafetensorsFile(url: directory.appendingPathComponent("expected.safetensors"))
      adapter = try Adapter(directory: directory.appendingPathComponent("adapter"))
      model = try ModelDirectory(directory).load(on: backend)
      try adapter.check(fits: model.facts)
      codec = try TextCodec(tokenizer: ByteTokenizer(endToken: 2), facts: model.facts)
      record = try #require(HeadRecord(adapter.modules, model.facts, task: adapter.task, labels: []))
      let prompt: any Prompt
      if adapter.isPrefix {
        prompt = try PrefixPrompt(
          values: adapter.prompt.values, length: adapter.prompt.length, layout: try PrefixLayout(model),
          isTrainable: true, on: backend)
      } else {
        prompt = try StaticPrompt(
          values: adapter.prompt.values, length: adapter.prompt.length, width: adapter.prompt.width, isTrainable: true,
          on: backend)
      }
      task = TaskModel(
        PromptedModel(model: model, prompt: prompt), head: try record.head(of: model, codec, trainable: .prompt).head)
      try SavedModule.install(adapter.modules, into: task.parameters, path: adapter.path, on: backend)
      var examples: [EncodedExample] = []
      while let ids = expected.entries["ids.\(examples.count)"],
        let labels = expected.entries["labels.\(examples.count)"]
      {
        let labels = try expected.integers(of: labels)
        let places = labels.indices.filter { labels[$0] >= 0 }
        examples.append(
          EncodedExample(
            source: ExampleSource(file: "f", line: examples.count + 1), context: try expected.integers(of: ids),
            target: [], wordPlaces: places, answer: .labels(places.map { Int(labels[$0]) })))
      }
      self.examples = examples
    }

    func floats(_ name: String) throws -> [Float] { try expected.floats(of: try #require(expected.entries[name])) }

    /// The rows of the words' first tokens in tensors `NAME.N`.
    func rows(_ name: String) throws -> [[Float]] {
      try examples.enumerated().flatMap { number, example in
        let values = try floats("\(name).\(number)")
        let width = values.count / example.context.count
        return example.wordPlaces.map { Array(values[$0 * width..<($0 + 1) * width]) }
      }
    }
  }

  @Test(arguments: Backends.available, names) func sameAsPEFT(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name, on: backend)
    #expect(fixture.record.kind.rawValue == TokenClassifierHead.name && fixture.record.token == nil)
    let (scores, expected) = (try fixture.task.scores(fixture.examples), try fixture.rows("scores"))
    try #require(scores.count == expected.count)
    let largest = Double(expected.joined().map(abs).max() ?? 0)
    for (place, row) in expected.enumerated() {
      expectClose(scores[place], row, within: 1e-4 * largest + 1e-6, .absolute, "word \(place)")
    }
    let tape = Tape(backend)
    let losses = try fixture.task.losses(fixture.examples, on: tape)
    let expectedLosses = try fixture.floats("losses")
    #expect(fixture.examples.reduce(0) { $0 + fixture.task.lossCount(of: $1) } == expectedLosses.count)
    let values = try backend.values(losses.value)
    let bound = 1e-4 * Double(expectedLosses.map(abs).max() ?? 0)
    expectClose(values, expectedLosses, within: bound, .absolute, "losses")
    // The mean that training makes smaller is transformers' loss.
    let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
    expectClose([Float(mean)], try fixture.floats("loss"), within: bound, .absolute, "mean loss")
    let gradients = try tape.gradients(
      of: losses, cotangent: try backend.tensor(try fixture.floats("cotangent"), losses.shape))
    let trained = fixture.task.trainableParameters
    #expect(trained.count == fixture.adapter.modules.count + 1)
    for parameter in trained {
      let key = parameter.name == StaticPrompt.tensorName ? parameter.name : SavedModule.prefix + parameter.name
      let expected = try fixture.floats("gradient.\(key)")
      let largest = expected.reduce(0) { max($0, Double(abs($1))) }
      #expect(largest > 1e-3, "\(key)")
      expectClose(
        try backend.values(try #require(gradients[parameter], "\(key)")), expected, within: 2e-4 * largest, .absolute,
        "\(key)")
    }
  }

  /// A checkpoint's own classifier is found, and is a head without an adapter.
  @Test(arguments: Backends.available, withHead) func storedClassifier(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name, on: backend)
    // Loaded again: the fixture's has the adapter's tensors in it.
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let stored = try #require(model.storedClassifier)
    #expect(stored.token == .every)
    let record = try #require(HeadRecord(stored))
    #expect(record.kind.rawValue == TokenClassifierHead.name && record.labels == stored.labels)
    let head = try record.head(of: model, fixture.codec).head
    #expect(head.parameters.isEmpty && head.layout != nil)
    let task = TaskModel(PromptedModel(model: model, prompt: NoPrompt()), head: head)
    let expected = try fixture.rows("stored")
    let largest = Double(expected.joined().map(abs).max() ?? 0)
    for (row, expected) in zip(try task.scores(fixture.examples), expected) {
      expectClose(row, expected, within: 1e-4 * largest, .absolute)
    }
    let tape = Tape(backend, isRecording: false)
    let hidden = try task.prompted.hiddenStates(fixture.examples, .words, on: tape)
    expectClose(
      try backend.values(try stored.scores(hidden, on: tape).value), Array(expected.joined()), within: 1e-4 * largest,
      .absolute)
  }

  /// What is kept is what was read, under the same names.
  ///
  /// tools/check-peft-heads.py sets the variable, to let PEFT open what is written.
  @Test(arguments: names) func keptAsRead(_ name: String) throws {
    let fixture = try Fixture(name, on: try Backends.cpu.make())
    #expect(fixture.task.adapterTask == .tokenClassification)
    let kept = try fixture.task.keptModules()
    #expect(Set(kept) == Set(fixture.adapter.modules))
    let temporary = try TemporaryFolder()
    var url = temporary.url
    if let path = ProcessInfo.processInfo.environment["SOFTPROMPT_WRITTEN_ADAPTERS"] {
      url = URL(fileURLWithPath: path).appendingPathComponent(name)
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }
    try Adapter(
      path: url.path, prompt: fixture.adapter.prompt, settings: nil, baseModel: nil,
      task: fixture.task.adapterTask, modules: kept, type: fixture.adapter.type
    ).write(to: url, facts: fixture.model.facts)
    let again = try Adapter(directory: url)
    #expect(again.modules == fixture.adapter.modules && again.task == .tokenClassification)
    #expect(again.prompt == fixture.adapter.prompt && again.isPrefix == fixture.adapter.isPrefix)
  }
}
