import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

/// Heads on checkpoints without one, with adapters that PEFT saved: what PEFT computes with them, and its gradients
/// (tools/fixtures/heads.py).
@Suite struct HeadFixtureTests {
  static let names = [
    "head-bert", "head-roberta", "head-distilbert", "head-gpt2", "head-bert-regression", "prefix-bert",
    "prefix-roberta",
  ]

  struct Fixture {
    let expected: SafetensorsFile
    let adapter: Adapter
    let task: TaskModel
    let examples: [EncodedExample]

    init(_ name: String, on backend: any ComputeBackend) throws {
      let directory = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
      expected = try SafetensorsFile(url: directory.appendingPathComponent("expected.safetensors"))
      adapter = try Adapter(directory: directory.appendingPathComponent("adapter"))
      let model = try ModelDirectory(directory).load(on: backend)
      try adapter.check(fits: model.facts)
      let codec = try TextCodec(tokenizer: ByteTokenizer(endToken: 2), facts: model.facts)
      let record = try #require(HeadRecord(adapter.modules, model.facts, task: adapter.task, labels: []))
      let values = adapter.prompt
      let prompt: any Prompt =
        adapter.isPrefix
        ? try PrefixPrompt(
          values: values.values, length: values.length, layout: try PrefixLayout(model), isTrainable: true, on: backend)
        : try StaticPrompt(
          values: values.values, length: values.length, width: values.width, isTrainable: true, on: backend)
      task = TaskModel(
        PromptedModel(model: model, prompt: prompt), head: try record.head(of: model, codec, trainable: .prompt).head)
      try SavedModule.install(adapter.modules, into: task.parameters, path: adapter.path, on: backend)
      let file = expected
      let answers: [ExampleAnswer] =
        record.labels.isEmpty
        ? try file.floats(of: try #require(file.entries["labels"])).map { .value(Double($0)) }
        : try file.integers(of: try #require(file.entries["labels"])).map { .label(Int($0)) }
      examples = try answers.enumerated().map { number, answer in
        EncodedExample(
          source: ExampleSource(file: "f", line: number + 1),
          context: try file.integers(of: try #require(file.entries["ids.\(number)"])), target: [], answer: answer)
      }
    }

    func floats(_ name: String) throws -> [Float] { try expected.floats(of: try #require(expected.entries[name])) }
  }

  @Test(arguments: Backends.available, names) func sameAsPEFT(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name, on: backend)
    let scores = try fixture.task.scores(fixture.examples)
    for number in scores.indices {
      let expected = try fixture.floats("scores.\(number)")
      expectClose(
        scores[number], expected, within: 1e-4 * Double(expected.map(abs).max() ?? 0) + 1e-6, .absolute, "\(number)")
    }
    let tape = Tape(backend)
    let losses = try fixture.task.losses(fixture.examples, on: tape)
    let expected = try fixture.floats("losses")
    expectClose(try backend.values(losses.value), expected, within: 1e-4 * Double(expected.map(abs).max() ?? 0))
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

  /// What is kept is what was read, under the same names.
  ///
  /// tools/check-peft-heads.py sets the variable, to let PEFT open what is written.
  @Test(arguments: names) func keptAsRead(_ name: String) throws {
    let fixture = try Fixture(name, on: try Backends.cpu.make())
    #expect(fixture.task.adapterTask == .sequenceClassification)
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
    ).write(to: url, facts: fixture.task.prompted.model.facts)
    let again = try Adapter(directory: url)
    #expect(again.prompt == fixture.adapter.prompt && again.type == fixture.adapter.type)
    #expect(again.modules == fixture.adapter.modules && again.task == .sequenceClassification)
  }
}
