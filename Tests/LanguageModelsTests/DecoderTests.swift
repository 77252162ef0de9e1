import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

/// Checkpoints of the causal families with what transformers computes from them (tools/fixtures/gpt2.py and
/// models_decoders.py), on every device.
@Suite struct DecoderTests {
  static let gpt2 = ["gpt2-tied", "gpt2-untied-relu", "gpt2-bf16", "gpt2-f16-sharded"]
  /// These come with values behind a soft prompt and behind prefixes.
  static let prompted = [
    "gpt-neo", "gpt-neo-untied", "gpt-neox-parallel", "gpt-neox-serial", "gpt-neox-older", "opt", "opt-projected",
    "opt-bare-end", "bloom", "bloom-normed-residual", "llama-grouped", "llama-yarn-older", "llama-dynamic", "mistral",
    "mistral-full", "qwen2", "qwen2-full", "qwen3", "qwen3-window",
  ]
  static let names = gpt2 + prompted

  /// A checkpoint and its expected values.
  struct Fixture {
    let directory: URL
    let expected: SafetensorsFile

    init(_ name: String) throws {
      directory = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
      expected = try SafetensorsFile(url: directory.appendingPathComponent("expected.safetensors"))
    }

    /// Numbers of the sequences.
    var sequences: [Int] { (0...).prefix { expected.entries["ids.\($0)"] != nil } }

    func ids(_ name: String) throws -> [Int32] { try expected.integers(of: try #require(expected.entries[name])) }

    func floats(_ name: String) throws -> [Float] { try expected.floats(of: try #require(expected.entries[name])) }
  }

  /// The largest difference may be this part of the largest expected value.
  private func expectClose(
    _ got: [Float], _ expected: [Float], relative: Double, _ comment: Comment,
    at location: SourceLocation = #_sourceLocation
  ) {
    let largest = expected.reduce(0) { max($0, Double(abs($1))) }
    TestSupport.expectClose(
      got, expected, within: relative * largest, .absolute, floor: 1, comment, sourceLocation: location)
  }

  @Test(arguments: Backends.available, names) func logitsAndLosses(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name)
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    // All sequences in one packed batch: each must come out as if it were alone.
    let ids = try fixture.sequences.map { try fixture.ids("ids.\($0)") }
    let batch = try PackedBatch.causal(
      promptLength: 0, ids.map { PackedSequence(length: $0.count, outputs: $0.count) }, on: backend)
    let tape = Tape(backend, isRecording: false)
    let hidden = try model.encode(
      try model.embed(ids.flatMap { $0 }, on: tape), batch, cache: nil, on: tape)
    let logits = try backend.values(try model.logits(hidden, on: tape).value)
    let vocabulary = model.facts.vocabularySize
    var row = 0
    for (number, sequence) in ids.enumerated() {
      let values = Array(logits[row * vocabulary..<(row + sequence.count) * vocabulary])
      expectClose(values, try fixture.floats("logits.\(number)"), relative: 1e-4, "logits of sequence \(number)")
      if sequence.count > 1 {
        let scored = tape.constant(try hidden.value.rows(row..<row + sequence.count - 1))
        let losses = try backend.values(
          try model.losses(scored, try backend.indices(Array(sequence.dropFirst())), on: tape).value)
        expectClose(losses, try fixture.floats("losses.\(number)"), relative: 1e-4, "losses of sequence \(number)")
      }
      row += sequence.count
    }
    let first = try hidden.value.rows(0..<ids[0].count)
    expectClose(try backend.values(first), try fixture.floats("hidden.final"), relative: 1e-4, "hidden states")
  }

  @Test(arguments: Backends.available, names) func gradientOfEmbeddings(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name)
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let ids = try fixture.ids("ids.0")
    let tape = Tape(backend)
    let embedded = try backend.gatherRows(model.tokenEmbedding.value, try backend.indices(ids))
    let embeddings = tape.leaf(embedded, name: "embeddings")
    let batch = try PackedBatch.causal(
      promptLength: 0, [PackedSequence(length: ids.count, outputs: ids.count)], on: backend)
    let logits = try model.logits(try model.encode(embeddings, batch, cache: nil, on: tape), on: tape)
    let cotangent = try backend.tensor(try fixture.floats("cotangent"), logits.shape)
    let gradients = try tape.gradients(of: logits, cotangent: cotangent)
    let gradient = try backend.values(try #require(gradients[embeddings]))
    expectClose(gradient, try fixture.floats("gradient.embedding"), relative: 1e-3, "gradient")
    for parameter in model.parameters { #expect(gradients[parameter] == nil, "\(parameter.name) is frozen") }
  }

  /// A soft prompt in front of two texts at once: scores behind it, and its gradient, which adds up.
  @Test(arguments: Backends.available, prompted) func softPrompt(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name)
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let ids = try fixture.ids("ids.0")
    let values = try fixture.floats("prompt")
    let length = values.count / model.facts.embeddingWidth
    let tape = Tape(backend)
    let prompt = tape.leaf(
      try backend.tensor(values, [length, model.facts.embeddingWidth]), name: "prompt")
    let batch = try PackedBatch.causal(
      promptLength: length, [ids, ids].map { PackedSequence(length: $0.count, outputs: $0.count) }, on: backend)
    let embeddings = try tape.concatRows([prompt, try model.embed(ids + ids, on: tape)])
    let logits = try model.logits(try model.encode(embeddings, batch, cache: nil, on: tape), on: tape)
    let expected = try fixture.floats("prompt.logits")
    expectClose(try backend.values(logits.value), expected + expected, relative: 1e-4, "logits behind the prompt")
    let cotangent = try fixture.floats("cotangent")
    let gradients = try tape.gradients(
      of: logits, cotangent: try backend.tensor(cotangent + cotangent.map { 2 * $0 }, logits.shape))
    expectClose(
      try backend.values(try #require(gradients[prompt])), try fixture.floats("prompt.gradient").map { 3 * $0 },
      relative: 1e-3, "gradient of the prompt")
  }

  /// Keys and values in front of every layer: scores behind them, and their gradients, for two texts at once.
  @Test(arguments: Backends.available, prompted) func layerPrefixes(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name)
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let ids = try fixture.ids("ids.0")
    let tape = Tape(backend)
    let prefixes = try prefixes(of: fixture, model, on: tape)
    let batch = try PackedBatch.causal(
      prefixLength: prefixes.length, promptLength: 0,
      [ids, ids].map { PackedSequence(length: $0.count, outputs: $0.count) }, on: backend)
    let hidden = try model.encode(
      try model.embed(ids + ids, on: tape), batch, prefixes: prefixes, cache: nil, on: tape)
    let logits = try model.logits(hidden, on: tape)
    let expected = try fixture.floats("prefix.logits")
    expectClose(try backend.values(logits.value), expected + expected, relative: 1e-4, "logits behind prefixes")
    let cotangent = try fixture.floats("cotangent")
    let gradients = try tape.gradients(
      of: logits, cotangent: try backend.tensor(cotangent + cotangent.map { -3 * $0 }, logits.shape))
    for layer in 0..<model.facts.layers {
      for (kind, variable) in [("keys", prefixes.keys[layer]), ("values", prefixes.values[layer])] {
        expectClose(
          try backend.values(try #require(gradients[variable])),
          try fixture.floats("prefix.\(kind).\(layer).gradient").map { -2 * $0 }, relative: 1e-3,
          "gradient of the \(kind) of layer \(layer)")
      }
    }
  }

  /// The same prefixes stored in a cache, and the text computed one token at a time.
  @Test(arguments: Backends.available, prompted) func prefixesInCache(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try Fixture(name)
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let ids = try fixture.ids("ids.0")
    let tape = Tape(backend, isRecording: false)
    let prefixes = try prefixes(of: fixture, model, on: tape)
    let length = prefixes.length
    let cache = try KeyValueCache(capacity: length + ids.count, for: model)
    try cache.store(prefixes, rows: try backend.indices((0..<length).map(Int32.init)))
    var logits: [Float] = []
    for (place, token) in ids.enumerated() {
      let own = length..<length + place + 1
      let place = try backend.indices([Int32(length + place)])
      let batch = PackedBatch(
        positions: place,
        layout: try AttentionLayout(
          segments: [AttentionSegment(queries: 0..<1, shared: [0..<length], own: own, causal: true)], queryCount: 1,
          keyCount: cache.capacity),
        cacheRows: place)
      let hidden = try model.encode(try model.embed([token], on: tape), batch, cache: cache, on: tape)
      logits += try backend.values(try model.logits(hidden, on: tape).value)
    }
    expectClose(logits, try fixture.floats("prefix.logits"), relative: 1e-4, "logits behind cached prefixes")
  }

  private func prefixes(of fixture: Fixture, _ model: any LanguageModel, on tape: Tape) throws -> LayerPrefixes {
    func leaves(_ kind: String, _ width: Int) throws -> [Variable] {
      try (0..<model.facts.layers).map { layer in
        let values = try fixture.floats("prefix.\(kind).\(layer)")
        return tape.leaf(
          try model.backend.tensor(values, [values.count / width, width]), name: "\(kind).\(layer)")
      }
    }
    return LayerPrefixes(
      keys: try leaves("keys", model.facts.keyWidth), values: try leaves("values", model.facts.valueWidth))
  }

  @Test(arguments: Backends.available) func storedClassifier(_ device: TestBackend) throws {
    let backend = try device.make()
    let fixture = try Fixture("llama-classifier")
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let classifier = try #require(model.storedClassifier)
    #expect(classifier.labels == ["LABEL_0", "LABEL_1", "LABEL_2"] && classifier.token == .last)
    let ids = try fixture.sequences.map { try fixture.ids("ids.\($0)") }
    let batch = try PackedBatch.causal(
      promptLength: 0, ids.map { PackedSequence(length: $0.count, outputs: 1) }, on: backend)
    let tape = Tape(backend, isRecording: false)
    let hidden = try model.encode(try model.embed(ids.flatMap { $0 }, on: tape), batch, cache: nil, on: tape)
    let scores = try backend.values(try classifier.scores(hidden, on: tape).value)
    expectClose(
      scores, try fixture.sequences.flatMap { try fixture.floats("score.\($0)") }, relative: 1e-4, "scores")
    // It was saved without an output projection, which is found out when it is asked for.
    #expect(throws: CheckpointError.self) { try model.logits(hidden, on: tape) }
  }

  /// Greedy tokens with a cache (one token at a time, all sequences in one batch) and without one.
  @Test(arguments: Backends.available, names) func greedyWithAndWithoutCache(_ device: TestBackend, _ name: String)
    throws
  {
    let backend = try device.make()
    let fixture = try Fixture(name)
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let contexts = try fixture.sequences.map { try fixture.ids("ids.\($0)") }
    let expected = try fixture.sequences.map { try fixture.ids("greedy.\($0)") }
    let steps = expected[0].count
    var texts = contexts
    for _ in 0..<steps {
      let batch = try PackedBatch.causal(
        promptLength: 0, texts.map { PackedSequence(length: $0.count, outputs: 1) }, on: backend)
      for (number, token) in try next(model, texts.flatMap { $0 }, batch, nil).enumerated() {
        texts[number].append(token)
      }
    }
    #expect(texts.map { Array($0.suffix(steps)) } == expected, "without a cache")

    let room = contexts.map { $0.count + steps }
    let starts = room.indices.map { room[..<$0].reduce(0, +) }
    let cache = try KeyValueCache(capacity: room.reduce(0, +), for: model)
    var (pending, used) = (contexts, contexts.map { _ in 0 })
    var results: [[Int32]] = contexts.map { _ in [] }
    for _ in 0..<steps {
      var (segments, last, positions, rows, query) = (
        [AttentionSegment](), [AttentionSegment](), [Int32](), [Int32](), 0
      )
      for (number, tokens) in pending.enumerated() {
        let own = starts[number]..<starts[number] + used[number] + tokens.count
        segments.append(AttentionSegment(queries: query..<query + tokens.count, own: own, causal: true))
        last.append(AttentionSegment(queries: number..<number + 1, own: own, causal: true))
        positions += (used[number]..<used[number] + tokens.count).map(Int32.init)
        rows += own.suffix(tokens.count).map(Int32.init)
        query += tokens.count
        used[number] += tokens.count
      }
      let ends = pending.indices.map { Int32(pending[...$0].reduce(0) { $0 + $1.count } - 1) }
      let batch = PackedBatch(
        positions: try backend.indices(positions),
        layout: try AttentionLayout(segments: segments, queryCount: query, keyCount: cache.capacity),
        outputRows: try backend.indices(ends),
        outputLayout: try AttentionLayout(segments: last, queryCount: last.count, keyCount: cache.capacity),
        cacheRows: try backend.indices(rows))
      let tokens = try next(model, pending.flatMap { $0 }, batch, cache)
      for (number, token) in tokens.enumerated() { results[number].append(token) }
      pending = tokens.map { [$0] }
    }
    #expect(results == expected, "with a cache")
  }

  private func next(
    _ model: any LanguageModel, _ tokens: [Int32], _ batch: PackedBatch, _ cache: KeyValueCache?
  ) throws -> [Int32] {
    let tape = Tape(model.backend, isRecording: false)
    let hidden = try model.encode(try model.embed(tokens, on: tape), batch, cache: cache, on: tape)
    return try model.backend.integers(try model.backend.argmaxRows(try model.logits(hidden, on: tape).value))
  }

  @Test(arguments: names) func savedAndOpenedAgain(_ name: String) throws {
    let backend = try Backends.cpu.make()
    let fixture = try Fixture(name)
    let directory = try ModelDirectory(fixture.directory)
    let folder = try TemporaryFolder()
    for options in [ModelOptions(), ModelOptions(isTrainable: true), ModelOptions(precision: .bf16)] {
      let model = try directory.load(on: backend, options)
      try ModelDirectory.save(
        model, configuration: directory.configuration, companions: fixture.directory, to: folder.url)
      let again = try ModelDirectory(folder.url).load(on: backend)
      #expect(again.facts == model.facts)
      #expect(again.parameters.map(\.name) == model.parameters.map(\.name))
      for (first, second) in zip(model.parameters, again.parameters) {
        #expect(first.value.dtype == second.value.dtype && first.shape == second.shape, "\(first.name)")
        #expect(try bytes(first.value, backend) == bytes(second.value, backend), "\(first.name)")
      }
      #expect(try ModelDirectory(folder.url).generationEndTokens() == directory.generationEndTokens())
    }
  }

  private func bytes(_ tensor: Tensor, _ backend: any ComputeBackend) throws -> Data {
    var data = Data(count: tensor.byteCount)
    try data.withUnsafeMutableBytes { try backend.read(tensor, into: $0) }
    return data
  }

  @Test func randomWeightsDependOnTheSeed() throws {
    let backend = try Backends.cpu.make()
    func embedding(_ seed: UInt64) throws -> [Float] {
      try backend.values(try TinyModel.gpt2(on: backend, seed: seed).tokenEmbedding.value)
    }
    let first = try embedding(1)
    #expect(try embedding(1) == first)
    #expect(try embedding(2) != first)
    let deviation = (first.reduce(0) { $0 + Double($1) * Double($1) } / Double(first.count)).squareRoot()
    #expect(abs(deviation - 0.3) < 0.02)
  }
}
