import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@testable import Training

/// What a run does and does not do, from its first validation to its end.
@Suite struct RunTests {
  private static func options(steps: Int = 4) -> TrainingOptions {
    var options = TrainingOptions()
    options.batchSize = 4
    options.length = .steps(steps)
    options.learningRate = 0.05
    options.logEvery = 2
    return options
  }

  private static func bytes(_ parameters: [Parameter], _ backend: any ComputeBackend) throws -> [[UInt8]] {
    try parameters.map { parameter in
      var bytes = [UInt8](repeating: 0, count: parameter.value.byteCount)
      try bytes.withUnsafeMutableBytes { try backend.read(parameter.value, into: $0) }
      return bytes
    }
  }

  @Test(arguments: Backends.available) func `only the prompt changes`(_ device: TestBackend) throws {
    let setup = try Setup(device.make())
    let before = try Self.bytes(setup.prompted.model.parameters, setup.backend)
    let promptBefore = try setup.promptValues
    let data = try setup.data
    let tape = Tape(setup.backend)
    let rows = try setup.prompted.losses([data.example(0, epoch: 0)], on: tape)
    let cotangent = try setup.backend.tensor(normals(rows.value.count, seed: 1), rows.shape)
    let gradients = try tape.gradients(of: rows, cotangent: cotangent)
    #expect(gradients.count == 1 && gradients[setup.prompted.prompt.parameters[0]] != nil)
    let folder = try TemporaryFolder()
    let trainer = Trainer(setup.prompted, data: data, options: Self.options())
    _ = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
    #expect(try Self.bytes(setup.prompted.model.parameters, setup.backend) == before)
    let promptAfter = try setup.promptValues
    #expect(zip(promptBefore, promptAfter).allSatisfy { $0 != $1 })
    // What lies in the output folder is what was trained.
    let adapter = try Adapter(directory: folder.file("run"))
    #expect(adapter.prompt.values == promptAfter && adapter.settings?.method.name == "prompt-tuning")
  }

  @Test(arguments: Backends.available) func `language modelling from random weights`(_ device: TestBackend) throws {
    let backend = try device.make()
    let directory = try ModelDirectory(Reference.modelURL)
    let model = try ModelDirectory.initialize(directory.configuration, seed: 3, on: backend)
    let codec = try Setup(backend).codec
    let sequences = try TokenSequences(
      files: [Reference.dataPath], codec: codec, vocabularySize: model.facts.vocabularySize, length: 32)
    let prompted = PromptedModel(model: model, prompt: NoPrompt())
    var options = Self.options(steps: 30)
    options.learningRate = 0.01
    options.validateEvery = 10
    let trainer = Trainer(prompted, data: sequences, validation: sequences, options: options)
    var losses: [Double] = []
    trainer.onEvent = { if case .validation(let report) = $0 { losses.append(report.loss) } }
    let folder = try TemporaryFolder()
    let origin = ModelOrigin(
      name: "new", configuration: directory.configuration, companions: Reference.modelURL)
    _ = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false),
      files: PromptedModelFiles(prompted, settings: nil, origin: origin), configuration: "")
    #expect(losses.count == 4)
    // A uniform guess over 384 tokens costs 5.95.
    guard abs(losses[0] - 5.95) < 0.1, losses[1] < 5, losses[3] < 4.6 else {
      Issue.record("validation losses \(losses)")
      return
    }
    // The validation after training is that of the weights after training, not of copies made before.
    let saved = try ModelDirectory(folder.file("run")).load(on: backend)
    let again = try Validation.of(
      sequences, under: PromptedModel(model: saved, prompt: NoPrompt()), batchSize: 4, step: 0)
    let error = try abs(#require(again).loss - losses[3])
    guard error <= 1e-5 else {
      Issue.record("validation of the saved model differs by \(error)")
      return
    }
  }

  @Test func `lines of the log`() throws {
    let setup = try Setup(Backends.cpu.make())
    var options = Self.options(steps: 5)
    options.validateEvery = 3
    let folder = try TemporaryFolder()
    let trainer = try Trainer(setup.prompted, data: setup.data, validation: setup.data, options: options)
    trainer.extraMetrics = { _ in [MetricsLine.Field("bleu", .number(nil))] }
    _ = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "a: 1\n")
    let text = try String(contentsOf: folder.file("run/metrics.jsonl"), encoding: .utf8)
    let lines = try text.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(lines.map { $0["step"] as? Int } == [0, 2, 3, 4, 5, 5])
    let training = Set(["step", "loss", "tokens", "learning_rate", "gradient_norm", "tokens_per_second"])
    #expect(lines.map { Set($0.keys) == training } == [false, true, false, true, true, false])
    #expect(Set(lines[0].keys) == ["step", "validation_loss", "bleu"] && lines[0]["bleu"] is NSNull)
    #expect(try String(contentsOf: folder.file("run/config.yaml"), encoding: .utf8) == "a: 1\n")
  }

  @Test func `patience ends a run and the best state is what is exported`() throws {
    let setup = try Setup(Backends.cpu.make())
    var options = Self.options(steps: 50)
    options.learningRate = 0  // so that validation stays as it is
    options.validateEvery = 1
    options.patience = 2
    let folder = try TemporaryFolder()
    let start = try setup.promptValues
    let trainer = try Trainer(setup.prompted, data: setup.data, validation: setup.data, options: options)
    let outcome = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
    #expect(outcome.reason == .patience && outcome.step == 2 && outcome.best?.step == 0)
    #expect(try Adapter(directory: folder.file("run")).prompt.values == start)
    #expect(FileManager.default.fileExists(atPath: folder.path("run/best/best.json")))
  }

  @Test func `time ends a run`() throws {
    let setup = try Setup(Backends.cpu.make())
    var options = Self.options(steps: 1_000_000)
    options.timeLimit = 0.2
    let folder = try TemporaryFolder()
    let outcome = try Trainer(setup.prompted, data: setup.data, options: options).run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
    #expect(outcome.reason == .timeLimit && outcome.step > 0)
    #expect(FileManager.default.fileExists(atPath: folder.path("run/adapter_config.json")))
  }

  @Test(arguments: Backends.available) func `a NaN is named with its step, tensor and lines`(_ device: TestBackend)
    throws
  {
    let setup = try Setup(device.make())
    let weight = try #require(
      setup.prompted.model.parameters.first { $0.name == "transformer.h.1.mlp.c_fc.bias" })
    var values = try setup.backend.values(weight.value)
    values[5] = .nan
    weight.value = try setup.backend.tensor(values, weight.shape)
    let folder = try TemporaryFolder()
    var options = Self.options()
    options.shuffles = false
    let trainer = try Trainer(setup.prompted, data: setup.data, options: options)
    do {
      _ = try trainer.run(
        in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
      Issue.record("no error")
    } catch let error as TrainingError {
      let text = "\(error)"
      #expect(text.hasPrefix("step 1: layer.1.feedForward.linear is not finite at element 5"), "\(text)")
      #expect(text.hasSuffix("e2e.jsonl:1, 2, 3, 4"), "\(text)")
    }
    let validating = try Trainer(setup.prompted, data: setup.data, validation: setup.data, options: options)
    #expect(throws: TrainingError.self) {
      _ = try validating.run(
        in: RunFolder(path: folder.path("other"), resumes: false), files: setup.files, configuration: "")
    }
  }

  @Test func `a zero gradient at the first step is refused`() throws {
    let setup = try Setup(Backends.cpu.make())
    // Keys and values of the prompt that no later layer reads: nothing depends on the prompt any more.
    for parameter in setup.prompted.model.parameters where parameter.name.contains("attn.c_proj.weight") {
      parameter.value = try setup.backend.zeros(parameter.shape)
    }
    let folder = try TemporaryFolder()
    do {
      _ = try Trainer(setup.prompted, data: setup.data, options: Self.options()).run(
        in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
      Issue.record("no error")
    } catch let error as TrainingError {
      #expect("\(error)".contains("prompt_embeddings is zero at the first step"))
    }
  }

  @Test func `nothing trainable takes no steps and leaves a template`() throws {
    let setup = try Setup(Backends.cpu.make(), hasPrompt: false)
    let trainer = try Trainer(setup.prompted, data: setup.data, validation: setup.data, options: Self.options())
    #expect(trainer.totalSteps == 0)
    let folder = try TemporaryFolder()
    let outcome = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
    #expect(outcome.step == 0)
    #expect(try Adapter(directory: folder.file("run")).prompt.length == 0)
  }

  @Test func `a dry run says what a run would need`() throws {
    let setup = try Setup(Backends.cpu.make())
    let trainer = try Trainer(setup.prompted, data: setup.data, validation: setup.data, options: Self.options())
    let report = try trainer.dryRun(
      TaskModel(setup.prompted), model: "gpt2",
      data: DryRunReport.Data(file: "e2e.jsonl", examples: 18, lines: Array(1...18)))
    #expect(
      report.trainable_parameters == 120 && report.steps == 4 && report.loss > 6 && report.memory.optimizer == 960)
    #expect(report.seconds_per_step > 0 && report.memory.device_peak > report.memory.weights)
  }
}
