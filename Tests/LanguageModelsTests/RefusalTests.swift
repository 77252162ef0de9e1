import Autodiff
import Compute
import Foundation
import TestSupport
import Testing

@testable import LanguageModels

/// What is refused rather than computed wrongly: options, tensors and sizes that a model cannot honour.
@Suite struct RefusalTests {
  /// A copy of a fixture's `config.json` with changes, and its weights.
  private static func folder(_ fixture: String, _ changes: [String: Any]) throws -> TemporaryFolder {
    let source = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(fixture)")
    let data = try Data(contentsOf: source.appendingPathComponent("config.json"))
    var object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    for (key, value) in changes { object[key] = value }
    let folder = try TemporaryFolder()
    try JSONSerialization.data(withJSONObject: object).write(to: folder.file("config.json"))
    try FileManager.default.copyItem(
      at: source.appendingPathComponent("model.safetensors"), to: folder.file("model.safetensors"))
    return folder
  }

  private static func failure(_ folder: TemporaryFolder) throws -> String {
    let backend = try Backends.cpu.make()
    let error = #expect(throws: CheckpointError.self) { _ = try ModelDirectory(folder.url).load(on: backend) }
    return error.map { "\($0)" } ?? ""
  }

  /// One change of a configuration, as JSON so that it can be an argument.
  static let refused: [(fixture: String, change: String, mention: String)] = [
    ("llama-grouped", #"{"query_scaling": 2}"#, "'query_scaling' is not known for 'llama'"),
    ("llama-grouped", #"{"is_causal": false}"#, "'is_causal' has a value that is not implemented"),
    ("llama-grouped", #"{"quantization_config": {"bits": 4}}"#, "'quantization_config' is not known"),
    ("llama-grouped", #"{"partial_rotary_factor": 0.5}"#, "'partial_rotary_factor'"),
    ("llama-grouped", #"{"rope_parameters": {"rope_type": "longrope", "factor": 2}}"#, "'rope_parameters.rope_type'"),
    ("llama-grouped", #"{"rope_parameters": {"rope_type": "linear"}}"#, "'rope_parameters.factor' is missing"),
    ("llama-grouped", #"{"rope_scaling": {"type": "yarn", "factor": 2, "extra": 1}}"#, "'rope_scaling.extra'"),
    ("llama-grouped", #"{"num_key_value_heads": 4}"#, "'num_key_value_heads' is 4"),
    ("mistral", #"{"sliding_window": 0}"#, "'sliding_window' is 0"),
    ("mistral", #"{"layer_types": ["full_attention"]}"#, "'layer_types' is not known for 'mistral'"),
    ("qwen2", #"{"layer_types": ["full_attention"]}"#, "names 1 layers, the model has 3"),
    ("qwen2", #"{"use_sliding_window": false}"#, "asks for a window"),
    ("qwen2", #"{"layer_types": ["a", "b", "c"]}"#, "has 'a'; known are"),
    ("gpt-neo", #"{"attention_types": [[["global"], 1]]}"#, "'attention_"),
    ("gpt-neo", #"{"attention_types": "global"}"#, "'attention_types' is not a list of pairs"),
    ("gpt-neox-parallel", #"{"hidden_act": "mish"}"#, "'hidden_act' is 'mish'"),
    ("opt", #"{"layer_norm_elementwise_affine": false}"#, "'layer_norm_elementwise_affine'"),
    ("opt", #"{"word_embed_proj_dim": 10}"#, "embed_tokens.weight"),
    ("bloom", #"{"n_head": 5}"#, "'n_head' is 5, which does not divide the width 24"),
  ]

  @Test(arguments: refused.indices) func configuration(_ place: Int) throws {
    let (fixture, json, mention) = Self.refused[place]
    let changes = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    let folder = try Self.folder(fixture, changes)
    let message = try Self.failure(folder)
    #expect(message.contains(mention) && !message.contains("\n"), "\(message)")
    #expect(message.hasPrefix(folder.url.path), "\(message)")
  }

  /// What changes nothing is let through: bookkeeping, null, empty lists, options at their neutral value.
  @Test func harmlessKeysAreAccepted() throws {
    let folder = try Self.folder(
      "llama-grouped",
      [
        "transformers_version": "9", "attention_dropout": 0.5, "something_new": NSNull(),
        "pruned_heads": [String: Int](),
        "is_causal": true, "rope_interleaved": false, "id2label": ["0": "no", "1": "yes"],
      ])
    _ = try ModelDirectory(folder.url).load(on: try Backends.cpu.make())
  }

  private static func saved(_ items: [SafetensorsWriter.Item]) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try folder.write(TinyModel.configuration(), to: "config.json")
    try SafetensorsWriter.write(items, to: folder.file("model.safetensors"))
    return folder
  }

  @Test func tiedTensorsThatAreStoredAnyway() throws {
    let backend = try Backends.cpu.make()
    let model = try TinyModel.gpt2(on: backend)
    let items = try model.parameters.map {
      SafetensorsWriter.Item(name: $0.name, shape: $0.shape, floats: try backend.values($0.value))
    }
    var values = try backend.values(model.tokenEmbedding.value)
    let shape = model.tokenEmbedding.shape
    let same = try Self.saved(items + [.init(name: "lm_head.weight", shape: shape, floats: values)])
    let opened = try ModelDirectory(same.url).load(on: backend)
    #expect(opened.parameters.count == model.parameters.count)
    values[7] += 1
    let different = try Self.saved(items + [.init(name: "lm_head.weight", shape: shape, floats: values)])
    #expect(try Self.failure(different).contains("'lm_head.weight' differs from 'transformer.wte.weight'"))
    let more = try Self.saved(items + [.init(name: "transformer.h.0.gate.weight", shape: [2], floats: [1, 2])])
    #expect(try Self.failure(more).hasSuffix("tensor 'transformer.h.0.gate.weight' has no place in the model"))
  }

  @Test func weightsBeyondTheDevice() throws {
    let device = DeviceDescription(id: "gpu", name: "small", kind: .opencl, memoryBytes: 1000, computeUnits: 1)
    try MemoryRequirement.check(1000, path: "m", on: device)
    let error = #expect(throws: CheckpointError.self) { try MemoryRequirement.check(1001, path: "m", on: device) }
    #expect(error.map { "\($0)" } == "m: the weights need 1001 bytes, device 'gpu' has 1000")
  }

  @Test func bytesThatWouldBeKept() throws {
    let folder = try Self.saved([
      .init(name: "matrix", shape: [3, 4], floats: [Float](repeating: 1, count: 12)),
      .init(name: "vector", shape: [5], floats: [Float](repeating: 1, count: 5)),
    ])
    let checkpoint = try Checkpoint(directory: folder.url)
    #expect(checkpoint.keptBytes(.checkpoint) == 68)
    #expect(checkpoint.keptBytes(.bf16) == 44)
  }

  /// Larger than the part that is converted at a time.
  @Test func longTensorsAreConvertedInParts() throws {
    let count = (1 << 20) + 77
    let values = (0..<count).map { Float($0 % 251) }
    let folder = try Self.saved([.init(name: "long", shape: [1, count], floats: values)])
    let checkpoint = try Checkpoint(directory: folder.url)
    let backend = try Backends.cpu.make()
    let tensor = try checkpoint.load("long", shape: [1, count], precision: .bf16, on: backend)
    #expect(try backend.values(try backend.gatherRows(tensor, try backend.indices([0]))) == values)
  }

  @Test func positionsBeyondTheModel() throws {
    let backend = try Backends.cpu.make()
    let source = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/llama-dynamic")
    let model = try ModelDirectory(source).load(on: backend)
    let tokens = [Int32](repeating: 1, count: 65)
    let batch = try PackedBatch.causal(promptLength: 0, [PackedSequence(length: 65, outputs: 1)], on: backend)
    let tape = Tape(backend, isRecording: false)
    let error = #expect(throws: ComputeError.self) {
      try model.encode(try model.embed(tokens, on: tape), batch, cache: nil, on: tape)
    }
    #expect(error.map { "\($0)" } == "positions of llama: row 64 is outside 0..<64")
  }

  /// Powers of two have one series of slopes; others fill up with every second one of the next power's.
  @Test func slopes() {
    #expect(ALiBi.slopes(heads: 4) == [0.25, 0.0625, 0.015625, 0.00390625])
    #expect(ALiBi.slopes(heads: 3) == [0.0625, 0.00390625, 0.25])
    #expect(ALiBi.slopes(heads: 1) == [0.00390625])
  }
}
