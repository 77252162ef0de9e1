import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Tokenizers

@testable import Training

/// What PyTorch and PEFT computed, from `Fixtures`.
struct Reference: Decodable {
  struct Example: Decodable {
    var context: [Int32]
    var target: [Int32]
    var tokens: Int
    var loss_before: Double
    var loss_after: Double
  }

  struct Run: Decodable {
    struct Summary: Decodable {
      var sum: Double
      var norm: Double
    }

    var optimizer: String
    var learning_rate: Double
    var weight_decay: Double?
    var clip_norm: Double?
    var momentum: Double?
    var scale_parameter: Bool?
    var losses: [Double]
    var gradient_norms: [Double]
    var final: [String: Summary]?
  }

  struct Schedules: Decodable {
    var steps: Int
    var warmup: Int
    var learning_rate: Double
  }

  var examples: [Example]
  var runs: [String: Run]
  var schedules: Schedules

  static let directory = Bundle.module.resourceURL ?? Bundle.module.bundleURL
  static let fixtures = directory.appendingPathComponent("Fixtures")
  static let modelURL = fixtures.appendingPathComponent("gpt2")
  static let dataPath = fixtures.appendingPathComponent("e2e.jsonl").path

  static func load() throws -> Reference {
    try JSONDecoder().decode(
      Reference.self, from: Data(contentsOf: fixtures.appendingPathComponent("expected.json")))
  }

  /// The rates of a schedule, step 1 first.
  static func rates(_ name: String) throws -> [Double] {
    let data = try Data(contentsOf: fixtures.appendingPathComponent("expected.json"))
    let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
    let schedules = object?["schedules"] as? [String: Any]
    return schedules?[name] as? [Double] ?? []
  }

  static func tensors() throws -> SafetensorsFile {
    try SafetensorsFile(url: fixtures.appendingPathComponent("expected.safetensors"))
  }

  static func values(_ name: String) throws -> [Float] {
    let file = try tensors()
    guard let entry = file.entries[name] else {
      throw CheckpointError.missingTensor(path: file.url.path, name: name)
    }
    return try file.floats(of: entry)
  }

  static func options(_ run: Run) -> TrainingOptions {
    var options = TrainingOptions()
    options.batchSize = 4
    options.length = .steps(10)
    options.shuffles = false
    options.optimizer = OptimizerKind(rawValue: run.optimizer) ?? .adamw
    options.learningRate = run.learning_rate
    options.weightDecay = run.weight_decay ?? 0
    options.clipNorm = run.clip_norm ?? 0
    options.momentum = run.momentum ?? 0
    options.adafactor.scalesByParameter = run.scale_parameter ?? true
    options.logEvery = 1
    options.saveEvery = 0
    return options
  }
}

/// The fixtures' model, prompt and data on a device.
struct Setup {
  let backend: any ComputeBackend
  let prompted: PromptedModel
  let codec: TextCodec
  let encoder: ExampleEncoder
  let examples: [Example]
  let directory: ModelDirectory

  init(_ backend: any ComputeBackend, trainsModel: Bool = false, hasPrompt: Bool = true) throws {
    self.backend = backend
    directory = try ModelDirectory(Reference.modelURL)
    let model = try directory.load(on: backend, ModelOptions(isTrainable: trainsModel))
    codec = try TextCodec(tokenizer: TokenizerFiles.load(directory: Reference.modelURL), facts: model.facts)
    var prompt: any Prompt = NoPrompt()
    if hasPrompt {
      let adapter = try Adapter(directory: Reference.fixtures.appendingPathComponent("initial-adapter"))
      prompt = try StaticPrompt(
        values: adapter.prompt.values, length: adapter.prompt.length, width: adapter.prompt.width, isTrainable: true,
        on: backend)
    }
    prompted = PromptedModel(model: model, prompt: prompt)
    encoder = try ExampleEncoder(
      codec: codec, template: PlainTemplate(), truncation: [], maximumPositions: model.facts.maximumPositions,
      promptLength: prompt.length)
    examples = try ExampleFile.read(Reference.dataPath)
  }

  var data: EncodedExamples { get throws { try EncodedExamples(examples, encoder: encoder) } }

  var files: PromptedModelFiles {
    get throws {
      let method = try Method.named(prompted.prompt.length > 0 ? "prompt-tuning" : "fine-tuning")
      return PromptedModelFiles(
        prompted, settings: AdapterSettings(method: method, truncation: [], demonstrations: nil),
        origin: ModelOrigin(
          name: "gpt2", configuration: directory.configuration, companions: Reference.modelURL))
    }
  }

  var promptValues: [Float] { get throws { try backend.values(prompted.prompt.parameters[0].value) } }
}

extension TemporaryFolder {
  func path(_ name: String) -> String { file(name).path }
}
