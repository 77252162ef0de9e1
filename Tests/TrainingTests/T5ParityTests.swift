import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing
import Tokenizers

@testable import Training

/// Tokens, losses and steps of a T5 equal to what PyTorch and PEFT made of the same examples
/// (tools/fixtures/training_t5.py).
@Suite struct T5ParityTests {
  struct Expected: Decodable {
    struct Example: Decodable {
      var context: [Int32]
      var target: [Int32]
      var loss: Double
    }

    var examples: [Example]
    var runs: [String: Reference.Run]

    static func load() throws -> Expected {
      let url = Reference.fixtures.appendingPathComponent("expected-t5.json")
      return try JSONDecoder().decode(Expected.self, from: Data(contentsOf: url))
    }

    static func prompt(_ name: String) throws -> [Float] {
      let file = try SafetensorsFile(url: Reference.fixtures.appendingPathComponent("expected-t5.safetensors"))
      return try file.floats(of: try #require(file.entries["prompt.\(name)"]))
    }
  }

  /// The fixture's model, prompt and data on a device.
  struct Setting {
    let prompted: PromptedModel
    let data: EncodedExamples
    let files: PromptedModelFiles

    init(_ backend: any ComputeBackend, trainsModel: Bool = false) throws {
      let url = Reference.fixtures.appendingPathComponent("t5")
      let directory = try ModelDirectory(url)
      let model = try directory.load(on: backend, ModelOptions(isTrainable: trainsModel))
      let codec = try TextCodec(tokenizer: TokenizerFiles.load(directory: url), facts: model.facts)
      let width = model.facts.embeddingWidth
      let prompt: any Prompt =
        trainsModel
        ? NoPrompt()
        : try StaticPrompt(
          values: try Expected.prompt("initial"), length: 5, width: width, isTrainable: true, on: backend)
      prompted = PromptedModel(model: model, prompt: prompt)
      let encoder = try ExampleEncoder(
        codec: codec, template: PlainTemplate(), truncation: [], maximumPositions: model.facts.maximumPositions,
        promptLength: prompt.length)
      data = try EncodedExamples(try ExampleFile.read(Reference.dataPath), encoder: encoder)
      files = PromptedModelFiles(
        prompted,
        settings: AdapterSettings(
          method: try Method.named(trainsModel ? "fine-tuning" : "prompt-tuning"), truncation: [],
          demonstrations: nil),
        origin: ModelOrigin(name: "t5", configuration: directory.configuration, companions: url))
    }
  }

  @Test(arguments: Backends.available) func `tokens and losses of every example`(_ device: TestBackend) throws {
    let setting = try Setting(device.make())
    let backend = setting.prompted.backend
    for (index, expected) in try Expected.load().examples.enumerated() {
      let example = try setting.data.example(index, epoch: 0)
      #expect(example.context == expected.context && example.target == expected.target)
      let rows = try setting.prompted.losses([example], on: Tape(backend, isRecording: false))
      let loss = try backend.sum(rows.value) / Double(example.target.count)
      expectClose([Float(loss)], [expected.loss], within: 2e-5, .relative)
    }
  }

  @Test(arguments: Backends.available, ["adamw", "fine-tuning"])
  func `six steps`(_ device: TestBackend, _ name: String) throws {
    let run = try #require(try Expected.load().runs[name])
    let setting = try Setting(device.make(), trainsModel: name == "fine-tuning")
    var options = Reference.options(run)
    options.length = .steps(run.losses.count)
    let trainer = try Trainer(setting.prompted, data: setting.data, options: options)
    let folder = try TemporaryFolder()
    var steps: [StepReport] = []
    trainer.onEvent = { if case .step(let report) = $0 { steps.append(report) } }
    _ = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setting.files, configuration: "")
    expectClose(steps.map { Float($0.loss) }, run.losses, within: 2e-5, .relative)
    expectClose(steps.map { Float($0.gradientNorm) }, run.gradient_norms, within: 1e-3, .relative)
    guard name == "adamw" else {
      // What was written is the trained model.
      let again = try ModelDirectory(folder.file("run")).load(on: setting.prompted.backend)
      for (first, second) in zip(setting.prompted.model.parameters, again.parameters) {
        #expect(
          try setting.prompted.backend.values(first.value) == setting.prompted.backend.values(second.value),
          "\(first.name)")
      }
      return
    }
    let expected = try Expected.prompt("adamw")
    let prompt = try #require(setting.prompted.prompt as? StaticPrompt)
    let largest = Double(expected.map(abs).max() ?? 1)
    expectClose(try setting.prompted.backend.values(prompt.embeddings.value), expected, within: 2e-4 * largest)
    let adapter = try Adapter(directory: folder.file("run"))
    #expect(adapter.task == .sequenceToSequence && adapter.prompt.length == 5)
  }
}
