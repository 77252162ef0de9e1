import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

/// A tiny checkpoint with an adapter that PEFT saved, a prompt and a head, and what PEFT computes with them.
struct TunedHeadFixture {
  let name: String
  let directory: URL
  let expected: SafetensorsFile
  let adapter: Adapter
  let model: any LanguageModel
  let codec: TextCodec
  let record: HeadRecord
  let task: TaskModel

  init(_ name: String, on backend: any ComputeBackend) throws {
    self.name = name
    directory = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
    expected = try SafetensorsFile(url: directory.appendingPathComponent("expected.safetensors"))
    adapter = try Adapter(directory: directory.appendingPathComponent("adapter"))
    model = try ModelDirectory(directory).load(on: backend)
    try adapter.check(fits: model.facts)
    codec = try TextCodec(tokenizer: ByteTokenizer(endToken: 2), facts: model.facts)
    record = try #require(HeadRecord(adapter.modules, model.facts, task: adapter.task, labels: []))
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
  }

  func floats(_ name: String) throws -> [Float] { try expected.floats(of: try #require(expected.entries[name])) }

  func integers(_ name: String) throws -> [Int32] { try expected.integers(of: try #require(expected.entries[name])) }

  /// The gradients of prompt and head under the fixture's cotangent are PEFT's.
  func expectGradients(of losses: Variable, on tape: Tape) throws {
    let backend = tape.backend
    let gradients = try tape.gradients(
      of: losses, cotangent: try backend.tensor(try floats("cotangent"), losses.shape))
    let trained = task.trainableParameters
    #expect(trained.count == adapter.modules.count + 1)
    for parameter in trained {
      let key = parameter.name == StaticPrompt.tensorName ? parameter.name : SavedModule.prefix + parameter.name
      let expected = try floats("gradient.\(key)")
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
  func expectKeptAsRead(_ kind: AdapterTask) throws {
    #expect(task.adapterTask == kind)
    let kept = try task.keptModules()
    #expect(Set(kept) == Set(adapter.modules))
    let temporary = try TemporaryFolder()
    var url = temporary.url
    if let path = ProcessInfo.processInfo.environment["SOFTPROMPT_WRITTEN_ADAPTERS"] {
      url = URL(fileURLWithPath: path).appendingPathComponent(name)
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }
    try Adapter(
      path: url.path, prompt: adapter.prompt, settings: nil, baseModel: nil, task: task.adapterTask, modules: kept,
      type: adapter.type
    ).write(to: url, facts: model.facts)
    let again = try Adapter(directory: url)
    #expect(again.modules == adapter.modules && again.task == kind)
    #expect(again.prompt == adapter.prompt && again.type == adapter.type && again.isPrefix == adapter.isPrefix)
  }
}
