import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

/// Prompts of every kind on tiny models: what PEFT, or PyTorch with all assemblies of a choice, computes with them, and
/// the gradients of all their parameters (tools/fixtures/prompts.py).
@Suite struct PromptFixtureTests {
  static let peftNames = [
    "lstm-gpt2", "mlp-gpt2", "prefix-gpt2", "prefix-mlp-gpt2", "prefix-llama", "prefix-t5", "multitask-gpt2",
  ]
  static let multitaskNames = ["multitask-tasks-gpt2", "multitask-tasks-t5"]
  static let dynamicNames = [
    "position-task-t5", "position-instance-gpt2", "position-instance-bert", "length-task-gpt2", "length-instance-t5",
    "pool-bert", "pool-position-t5", "fixed-bert", "position-length-task-gpt2", "position-task-length-instance-t5",
    "position-instance-length-task-bert", "pool-position-length-t5", "length-instance-padded-t5",
  ]

  struct Fixture {
    private struct Case: Decodable {
      var model: String
      var kind: String
      var length: Int
      var options: PromptOptions
    }

    let directory: URL
    let expected: SafetensorsFile
    let model: any LanguageModel
    let codec: TextCodec
    let request: PromptRequest
    let kind: PromptKind
    let examples: [EncodedExample]

    init(_ name: String, on backend: any ComputeBackend) throws {
      let root = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/prompts")
      directory = root.appendingPathComponent(name)
      let setting = try JSONDecoder().decode(
        Case.self, from: try Data(contentsOf: directory.appendingPathComponent("case.json")))
      let file = try SafetensorsFile(url: directory.appendingPathComponent("expected.safetensors"))
      expected = file
      model = try ModelDirectory(root.appendingPathComponent("models/\(setting.model)")).load(on: backend)
      codec = try TextCodec(tokenizer: ByteTokenizer(endToken: 1, padToken: 0), facts: model.facts)
      kind = try #require(PromptKind(rawValue: setting.kind))
      let stored = try PromptParameters(directory: directory)?.tensors[TaskFactors.columnsName]
      request = PromptRequest(
        model: model, codec: codec, length: setting.length, options: setting.options, start: .zeros,
        taskCount: stored?.shape[0] ?? 1)
      let closing = model.facts.kind == .causal ? 0 : 1
      let tasks = try file.entries["tasks"].map { try file.integers(of: $0).map(Int.init) } ?? [0, 0, 0]
      examples = try (0..<3).map { number in
        func tokens(_ name: String) throws -> [Int32] {
          try file.integers(of: try #require(file.entries["\(name).\(number)"]))
        }
        return EncodedExample(
          source: ExampleSource(file: "f", line: number + 1), context: try tokens("ids"),
          target: try tokens("target"), closing: closing, task: tasks[number])
      }
    }

    /// The prompt with the fixture's parameters.
    func prompt() throws -> any Prompt {
      let prompt = try request.prompt(kind)
      try #require(try PromptParameters(directory: directory)).restore(
        prompt, path: directory.path, on: model.backend)
      return prompt
    }

    func floats(_ name: String) throws -> [Float] { try expected.floats(of: try #require(expected.entries[name])) }

    /// Losses, or hidden states of an encoder.
    func result(_ prompted: PromptedModel, on tape: Tape) throws -> Variable {
      model.facts.kind == .encoder
        ? try prompted.hiddenStates(examples, .text, on: tape) : try prompted.losses(examples, on: tape)
    }

    func expectedResult() throws -> [Float] { try floats(model.facts.kind == .encoder ? "hidden" : "losses") }
  }

  /// The rounding of a whole model in f32, relative to the largest value.
  private static func check(_ got: [Float], _ expected: [Float], _ comment: Comment) {
    let largest = expected.reduce(0) { max($0, Double(abs($1))) }
    expectClose(got, expected, within: 2e-4 * largest + 1e-6, .absolute, comment)
  }

  @Test(arguments: Backends.available, (peftNames + multitaskNames + dynamicNames).filter { $0 != "multitask-gpt2" })
  func sameAsReference(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name, on: backend)
    let prompted = PromptedModel(model: fixture.model, prompt: try fixture.prompt())
    let tape = Tape(backend)
    let result = try fixture.result(prompted, on: tape)
    Self.check(try backend.values(result.value), try fixture.expectedResult(), "values")
    let cotangent = try backend.tensor(try fixture.floats("cotangent"), result.shape)
    let gradients = try tape.gradients(of: result, cotangent: cotangent)
    #expect(fixture.expected.entries.keys.count { $0.hasPrefix("gradient.") } == prompted.prompt.parameters.count)
    for parameter in prompted.prompt.parameters {
      let gradient = try #require(gradients[parameter], "no gradient of \(parameter.name)")
      Self.check(
        try backend.values(gradient), try fixture.floats("gradient.\(parameter.name)"), "gradient of \(parameter.name)")
    }
    // The same without recording, where what all examples have in front stands there once.
    let again = try fixture.result(prompted, on: Tape(backend, isRecording: false))
    Self.check(try backend.values(again.value), try fixture.expectedResult(), "values without recording")
    let choices = try prompted.choices(of: fixture.examples)
    for (key, value) in [("positions", choices?.map(\.position)), ("lengths", choices?.map(\.length))] {
      guard let entry = fixture.expected.entries[key] else { continue }
      #expect(try fixture.expected.integers(of: entry).map(Int.init) == value, "\(key)")
    }
    if fixture.expected.entries["features"] != nil {
      let features = try FeatureCache(fixture.model, prompted.prompt.featureForm).features(
        of: fixture.examples.map(\.context))
      let expected = try fixture.floats("features")
      Self.check(try backend.values(features), expected, "features")
      // Padding counts: the mean over the tokens alone is another one.
      let plain = try backend.values(try FeatureCache(fixture.model).features(of: fixture.examples.map(\.context)))
      #expect(zip(plain, expected).contains { abs($0 - $1) > 0.01 })
    }
    if fixture.expected.entries["pool_weights"] != nil {
      Self.check(try #require(choices).flatMap { $0.poolWeights ?? [] }, try fixture.floats("pool_weights"), "weights")
    }
  }

  /// What PEFT wrote is read, and written again as PEFT has it.
  ///
  /// tools/check-peft-prompts.py sets the variable, to let PEFT open what is written.
  @Test(arguments: peftNames) func adaptersOfPEFT(_ name: String) throws {
    let backend = try Backends.cpu.make()
    let fixture = try Fixture(name, on: backend)
    let folder = fixture.directory.appendingPathComponent("adapter")
    let adapter = try Adapter(directory: folder, promptTask: name.hasPrefix("multitask") ? 1 : nil)
    let prompt = try adapter.makePrompt(for: fixture.model, codec: fixture.codec)
    let result = try fixture.result(
      PromptedModel(model: fixture.model, prompt: prompt), on: Tape(backend, isRecording: false))
    Self.check(try backend.values(result.value), try fixture.expectedResult(), "values of the adapter")
    // What is written again is the same, and says what PEFT's own file says.
    let temporary = try TemporaryFolder()
    var copy = adapter
    copy.path = temporary.url.path
    try copy.write(to: temporary.url, facts: fixture.model.facts)
    #expect(try Adapter(directory: temporary.url, promptTask: name.hasPrefix("multitask") ? 1 : nil) == copy)
    func configuration(_ folder: URL) throws -> [String: Any] {
      let data = try Data(contentsOf: folder.appendingPathComponent(Adapter.configurationName))
      return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }
    let (ours, theirs) = try (configuration(temporary.url), configuration(folder))
    #expect(Set(theirs.keys).subtracting(["peft_version", "init_weights"]).isSubset(of: ours.keys), "\(theirs.keys)")
    for key in [
      "peft_type", "task_type", "num_virtual_tokens", "token_dim", "num_layers", "num_attention_heads", "num_ranks",
      "num_tasks", "num_transformer_submodules", "encoder_hidden_size", "encoder_reparameterization_type",
      "encoder_num_layers", "prefix_projection",
    ] where key != "num_transformer_submodules" || fixture.model.facts.kind != .encoderDecoder {
      #expect(
        (ours[key] as? NSObject) == (theirs[key] as? NSObject),
        "\(key): \(String(describing: ours[key])), not \(String(describing: theirs[key]))")
    }
    guard name != "multitask-gpt2" else {
      #expect(throws: MethodError.self) { try Adapter(directory: folder) }
      #expect(throws: MethodError.self) { try Adapter(directory: folder, promptTask: 3) }
      if let path = ProcessInfo.processInfo.environment["SOFTPROMPT_WRITTEN_ADAPTERS"] {
        let url = URL(fileURLWithPath: path).appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        try copy.write(to: url, facts: fixture.model.facts)
      }
      return
    }
    // The rows that a prompt with PEFT's networks writes.
    let rows = try #require(try fixture.prompt().peftTensors(on: backend))
    #expect(rows.type.name == ours["peft_type"] as? String)
    Self.check(rows.rows, adapter.prompt.values, "rows")
    if let path = ProcessInfo.processInfo.environment["SOFTPROMPT_WRITTEN_ADAPTERS"] {
      let url = URL(fileURLWithPath: path).appendingPathComponent(name)
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
      copy.prompt = rows.values(width: adapter.prompt.width)
      (copy.type, copy.path) = (rows.type, url.path)
      try copy.write(to: url, facts: fixture.model.facts)
    }
  }

  /// What PEFT wrote of several tasks is what is written of the same parameters, each task's prompt is read from it, and a
  /// prompt for new tasks starts from it as PEFT starts it.
  ///
  /// tools/check-peft-prompts.py sets the variable, to let PEFT open what is written.
  @Test(arguments: multitaskNames) func adaptersOfSeveralTasks(_ name: String) throws {
    let backend = try Backends.cpu.make()
    let fixture = try Fixture(name, on: backend)
    let folder = fixture.directory.appendingPathComponent("adapter")
    let stored = try #require(try fixture.prompt().peftTensors(on: backend))
    let source = try Adapter(directory: folder, needsTask: false)
    #expect(stored.taskFactors == source.taskFactors && stored.type == source.type)
    #expect(throws: MethodError.self) { try Adapter(directory: folder) }
    let temporary = try TemporaryFolder()
    let environment = ProcessInfo.processInfo.environment["SOFTPROMPT_WRITTEN_ADAPTERS"]
    let written = environment.map { URL(fileURLWithPath: $0).appendingPathComponent(name) } ?? temporary.url
    try FileManager.default.createDirectory(at: written, withIntermediateDirectories: true)
    var adapter = Adapter(
      path: written.path, prompt: stored.values(width: 12), settings: nil, baseModel: nil, type: stored.type)
    adapter.taskFactors = stored.taskFactors
    try adapter.write(to: written, facts: fixture.model.facts)
    func configuration(_ folder: URL) throws -> NSDictionary {
      let data = try Data(contentsOf: folder.appendingPathComponent(Adapter.configurationName))
      let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      return object.filter { $0.key != "peft_version" } as NSDictionary
    }
    #expect(try configuration(written) == configuration(folder))
    // The losses of each task's examples with its own prompt alone.
    let expected = try fixture.expectedResult()
    var first = 0
    for example in fixture.examples {
      let prompt = try Adapter(directory: written, promptTask: example.task).makePrompt(
        for: fixture.model, codec: fixture.codec)
      var alone = example
      alone.task = 0
      let losses = try PromptedModel(model: fixture.model, prompt: prompt).losses(
        [alone], on: Tape(backend, isRecording: false))
      let last = first + example.target.count
      Self.check(try backend.values(losses.value), Array(expected[first..<last]), "task \(example.task)")
      first = last
    }
    for (start, label) in [(TaskStart.average, "average"), (.task(2), "exact")] {
      var request = fixture.request
      (request.taskCount, request.start, request.options.taskStart) = (2, .adapter(source), start)
      let prompt = try request.prompt(.multitask)
      for parameter in prompt.parameters {
        let values = try fixture.floats("\(label).\(parameter.name)")
        // Both new tasks have what PEFT gives its one.
        let copies = parameter.name == StaticPrompt.tensorName ? 1 : 2
        expectClose(
          try backend.values(parameter.value), (0..<copies).flatMap { _ in values }, within: 1e-6, .absolute,
          "\(label), \(parameter.name)")
      }
    }
    var request = fixture.request
    (request.start, request.options.taskStart) = (.adapter(source), .each)
    let same = try #require(try request.prompt(.multitask).peftTensors(on: backend))
    #expect(same.taskFactors == source.taskFactors)
    request.options.taskStart = .shared
    let fresh = try #require(try request.prompt(.multitask).peftTensors(on: backend)?.taskFactors)
    #expect(fresh.shared == source.taskFactors?.shared && fresh.columns != source.taskFactors?.columns)
    let square = fresh.rows.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(fresh.rows.count)
    // The deviation of 72 normal numbers is known to 1 part in 12.
    #expect(abs(square.squareRoot() / 0.02 - 1) < 0.35)
    for (start, ranks, tasks) in [(TaskStart.task(3), 2, 1), (.average, 1, 1), (.each, 2, 2)] {
      (request.options.taskStart, request.options.ranks, request.taskCount) = (start, ranks, tasks)
      #expect(throws: MethodError.self) { try request.prompt(.multitask) }
    }
    #expect(throws: MethodError.self) { try request.prompt(.static) }
  }

  @Test func gradientReachesEverySlice() throws {
    for name in ["prefix-gpt2", "prefix-llama"] {
      let fixture = try Fixture(name, on: try Backends.cpu.make())
      let layout = try PrefixLayout(fixture.model)
      let gradient = try fixture.floats("gradient.prompt_embeddings")
      for slice in 0..<2 * layout.layers {
        let isReached = gradient.indices.contains { place in
          (place % layout.width) / layout.sliceWidth == slice && gradient[place] != 0
        }
        #expect(isReached, "\(name), slice \(slice)")
      }
    }
  }
}
