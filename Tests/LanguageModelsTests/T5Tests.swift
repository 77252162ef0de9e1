import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

/// T5 and mT5 checkpoints with what transformers computes from them (tools/fixtures/t5.py), on every device.
@Suite struct T5Tests {
  static let names = ["t5-tied", "t5-untied-gated", "mt5-bf16"]

  /// All pairs of a checkpoint in one packed batch.
  struct Setting {
    let values: ReferenceValues
    let model: any EncoderDecoderModel
    let sources: [[Int32]]
    let targets: [[Int32]]
    let promptLength: Int

    init(_ name: String, on backend: any ComputeBackend, prompted: Bool, isTrainable: Bool = false) throws {
      values = try ReferenceValues(name)
      let loaded = try ModelDirectory(values.directory).load(on: backend, ModelOptions(isTrainable: isTrainable))
      model = try #require(loaded as? any EncoderDecoderModel)
      let values = values
      sources = try values.numbers(of: "source").map { try values.integers("source.\($0)") }
      targets = try values.numbers(of: "target").map { try values.integers("target.\($0)") }
      promptLength = prompted ? try #require(values.expected.entries["prompt"]).shape[0] : 0
    }

    /// The rows of each source, the prompt's included, among all of them.
    var memory: [Range<Int>] {
      var row = 0
      return sources.map { source in
        defer { row += promptLength + source.count }
        return row..<row + promptLength + source.count
      }
    }

    func encoded(on tape: Tape) throws -> (states: Variable, prompt: Variable?) {
      let backend = model.backend
      let lengths = sources.map(\.count)
      let batch = try PackedBatch.bidirectional(promptLength: promptLength, lengths, on: backend)
      let embedded = try model.embed(sources.flatMap { $0 }, on: tape)
      guard promptLength > 0 else { return (try model.encode(embedded, batch, cache: nil, on: tape), nil) }
      let prompt = tape.leaf(
        try backend.tensor(try values.floats("prompt"), [promptLength, model.facts.embeddingWidth]), name: "prompt")
      let rows = try tape.gatherRows(
        try tape.concatRows([prompt, embedded]),
        try backend.indices(PackedBatch.bidirectionalSources(promptLength: promptLength, lengths)))
      return (try model.encode(rows, batch, cache: nil, on: tape), prompt)
    }

    /// Hidden states of the last `outputs` rows of each target.
    func decoded(_ encoded: Variable, outputs: [Int], on tape: Tape) throws -> Variable {
      let batch = try DecoderBatch.causal(
        zip(targets, outputs).map { PackedSequence(length: $0.count, outputs: $1) }, memory: memory,
        memoryCount: encoded.shape[0], on: model.backend)
      return try model.decode(
        try model.embed(targets.flatMap { $0 }, on: tape), batch, memory: try model.memory(of: encoded, on: tape),
        cache: nil, on: tape)
    }
  }

  private func cut(_ all: Variable, _ counts: [Int], _ backend: any ComputeBackend) throws -> [[Float]] {
    let values = try backend.values(all.value)
    var start = 0
    return counts.map { count in
      defer { start += count * all.shape.columns }
      return Array(values[start..<start + count * all.shape.columns])
    }
  }

  @Test(arguments: Backends.available, names) func statesLogitsAndLosses(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    for prompted in [false, true] {
      let setting = try Setting(name, on: backend, prompted: prompted)
      let (values, model) = (setting.values, setting.model)
      let tape = Tape(backend, isRecording: false)
      let encoded = try setting.encoded(on: tape).states
      if !prompted {
        for (number, states) in try cut(encoded, setting.sources.map(\.count), backend).enumerated() {
          try values.expectClose(states, "encoder.\(number)", relative: 1e-4)
        }
      }
      let lengths = setting.targets.map(\.count)
      let hidden = try setting.decoded(encoded, outputs: lengths, on: tape)
      let logits = try model.logits(hidden, on: tape)
      for (number, scores) in try cut(logits, lengths, backend).enumerated() {
        try values.expectClose(scores, "\(prompted ? "prompted." : "")logits.\(number)", relative: 1e-4)
      }
      // The last layer of the decoder computes the last rows only.
      let last = try model.logits(
        try setting.decoded(encoded, outputs: lengths.map { _ in 1 }, on: tape), on: tape)
      let expected = try cut(logits, lengths, backend).flatMap { $0.suffix(model.facts.vocabularySize) }
      expectClose(try backend.values(last.value), expected, within: 1e-4)
      guard !prompted else { continue }
      for (number, target) in setting.targets.enumerated() where target.count > 1 {
        let start = lengths[..<number].reduce(0, +)
        let rows = tape.constant(try hidden.value.rows(start..<start + target.count - 1))
        let losses = try model.losses(rows, try backend.indices(Array(target.dropFirst())), on: tape)
        try values.expectClose(try backend.values(losses.value), "losses.\(number)", relative: 1e-4)
      }
    }
  }

  @Test(arguments: Backends.available, names) func gradientOfPrompt(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let setting = try Setting(name, on: backend, prompted: true)
    let tape = Tape(backend)
    let (encoded, leaf) = try setting.encoded(on: tape)
    let hidden = try setting.decoded(encoded, outputs: setting.targets.map(\.count), on: tape)
    let logits = try setting.model.logits(hidden, on: tape)
    let cotangent = try setting.targets.indices.flatMap { try setting.values.floats("cotangent.\($0)") }
    let gradients = try tape.gradients(of: logits, cotangent: try backend.tensor(cotangent, logits.shape))
    let prompt = try #require(leaf)
    try setting.values.expectClose(
      try backend.values(try #require(gradients[prompt])), "gradient.prompt", relative: 1e-3)
    for parameter in setting.model.parameters {
      #expect(gradients[parameter] == nil, "\(parameter.name) is frozen")
    }
  }

  /// Trained weights get gradients, relative-position tables that all layers of a stack share included.
  @Test(arguments: Backends.available) func gradientsOfWeights(_ device: TestBackend) throws {
    let backend = try device.make()
    let setting = try Setting("t5-tied", on: backend, prompted: true, isTrainable: true)
    let tape = Tape(backend)
    let hidden = try setting.decoded(
      try setting.encoded(on: tape).states, outputs: setting.targets.map(\.count), on: tape)
    let logits = try setting.model.logits(hidden, on: tape)
    let cotangent = try setting.targets.indices.flatMap { try setting.values.floats("cotangent.\($0)") }
    let gradients = try tape.gradients(of: logits, cotangent: try backend.tensor(cotangent, logits.shape))
    var compared = 0
    for parameter in setting.model.parameters {
      let gradient = try #require(gradients[parameter], "\(parameter.name)")
      guard setting.values.has("gradient.\(parameter.name)") else { continue }
      try setting.values.expectClose(
        try backend.values(gradient), "gradient.\(parameter.name)", relative: 1e-3)
      compared += 1
    }
    #expect(compared == 5)
  }

  /// Where neither is said outright, an untied checkpoint is not scaled; a stored projection counts.
  @Test func scaleOfTheOutputAndOwnProjection() throws {
    let backend = try Backends.cpu.make()
    let values = try ReferenceValues("t5-untied-gated")
    let reference = try Setting("t5-untied-gated", on: backend, prompted: false)
    let hidden = Tape(backend, isRecording: false).constant(
      try backend.tensor(normals(2 * 18, seed: 3), [2, 18]))
    func scores(_ edit: (inout [String: Any]) -> Void) throws -> [Float] {
      let folder = try TemporaryFolder()
      try FileManager.default.copyItem(
        at: values.directory.appendingPathComponent("model.safetensors"), to: folder.file("model.safetensors"))
      let data = try Data(contentsOf: values.directory.appendingPathComponent("config.json"))
      var object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      edit(&object)
      try JSONSerialization.data(withJSONObject: object).write(to: folder.file("config.json"))
      let model = try ModelDirectory(folder.url).load(on: backend)
      return try backend.values(try model.logits(hidden, on: Tape(backend, isRecording: false)).value)
    }
    let expected = try backend.values(
      try reference.model.logits(hidden, on: Tape(backend, isRecording: false)).value)
    // As the published files of version 1.1 have it.
    let old = try scores {
      $0["scale_decoder_outputs"] = nil
      $0["tie_word_embeddings"] = false
    }
    #expect(old == expected)
    let scaled = try scores {
      $0["scale_decoder_outputs"] = nil
      $0["tie_word_embeddings"] = nil
    }
    expectClose(scaled, expected.map { $0 / Float(18).squareRoot() }, within: 1e-5)
  }

  /// A checkpoint without a decoder is an encoder.
  @Test func encoderAlone() throws {
    let backend = try Backends.cpu.make()
    let setting = try Setting("t5-tied", on: backend, prompted: false)
    let folder = try TemporaryFolder()
    let items = setting.model.parameters.filter { !$0.name.hasPrefix("decoder.") }.map {
      SafetensorsWriter.Item(name: $0.name, tensor: $0.value, on: backend)
    }
    try SafetensorsWriter.write(items, to: folder.file("model.safetensors"))
    try FileManager.default.copyItem(
      at: setting.values.directory.appendingPathComponent("config.json"), to: folder.file("config.json"))
    let model = try ModelDirectory(folder.url).load(on: backend)
    #expect(model.facts.kind == .encoder && setting.model.facts.kind == .encoderDecoder)
    let tape = Tape(backend, isRecording: false)
    let batch = try PackedBatch.bidirectional(promptLength: 0, setting.sources.map(\.count), on: backend)
    let hidden = try model.encode(
      try model.embed(setting.sources.flatMap { $0 }, on: tape), batch, cache: nil, on: tape)
    #expect(try backend.values(hidden.value) == backend.values(setting.encoded(on: tape).states.value))
    #expect(throws: CheckpointError.self) { try model.logits(hidden, on: tape) }
  }

  @Test(arguments: names) func savedAndOpenedAgain(_ name: String) throws {
    let backend = try Backends.cpu.make()
    let values = try ReferenceValues(name)
    let directory = try ModelDirectory(values.directory)
    let folder = try TemporaryFolder()
    let model = try directory.load(on: backend)
    try ModelDirectory.save(
      model, configuration: directory.configuration, companions: values.directory, to: folder.url)
    let again = try ModelDirectory(folder.url).load(on: backend)
    #expect(again.facts == model.facts)
    for (first, second) in zip(model.parameters, again.parameters) {
      #expect(first.name == second.name)
      #expect(
        try TensorBytes.of(first.value, on: backend) == TensorBytes.of(second.value, on: backend), "\(first.name)")
    }
  }
}
