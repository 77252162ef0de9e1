import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

/// BERT, DistilBERT, RoBERTa and XLM-R checkpoints with what transformers computes from them
/// (tools/fixtures/encoders.py), on every device.
@Suite struct EncoderTests {
  static let names = [
    "bert-pretraining", "bert-untied-classifier", "bert-bare-bf16", "bert-mlm-untied", "distilbert-mlm",
    "distilbert-classifier", "roberta-mlm", "roberta-classifier", "xlm-roberta-f16",
  ]

  /// All sequences of a checkpoint in one packed batch.
  struct Setting {
    let values: ReferenceValues
    let model: any LanguageModel
    let ids: [[Int32]]
    let types: [Int32]?
    let promptLength: Int

    init(_ name: String, on backend: any ComputeBackend, prompted: Bool) throws {
      values = try ReferenceValues(name)
      model = try ModelDirectory(values.directory).load(on: backend)
      let values = values
      ids = try values.numbers(of: "ids").map { try values.integers("ids.\($0)") }
      types = values.has("types.0") ? try ids.indices.flatMap { try values.integers("types.\($0)") } : nil
      promptLength = prompted ? try #require(values.expected.entries["prompt"]).shape[0] : 0
    }

    /// Hidden states of the rows that are asked for, and the prompt's leaf.
    func hidden(_ outputs: BidirectionalOutputs, on tape: Tape) throws -> (states: Variable, prompt: Variable?) {
      let backend = model.backend
      let batch = try PackedBatch.bidirectional(
        promptLength: promptLength, ids.map(\.count), outputs: outputs, tokenTypes: types, on: backend)
      let embedded = try model.embed(ids.flatMap { $0 }, on: tape)
      guard promptLength > 0 else { return (try model.encode(embedded, batch, cache: nil, on: tape), nil) }
      let prompt = tape.leaf(
        try backend.tensor(try values.floats("prompt"), [promptLength, model.facts.embeddingWidth]), name: "prompt")
      let rows = try tape.gatherRows(
        try tape.concatRows([prompt, embedded]),
        try backend.indices(PackedBatch.bidirectionalSources(promptLength: promptLength, ids.map(\.count))))
      return (try model.encode(rows, batch, cache: nil, on: tape), prompt)
    }

    /// The values of consecutive rows, cut by the lengths of the sequences.
    func cut(_ all: Variable, _ counts: [Int]) throws -> [[Float]] {
      let values = try model.backend.values(all.value)
      var start = 0
      return counts.map { count in
        defer { start += count * all.shape.columns }
        return Array(values[start..<start + count * all.shape.columns])
      }
    }
  }

  @Test(arguments: Backends.available, names) func statesAndHeads(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    for prompted in [false, true] {
      let setting = try Setting(name, on: backend, prompted: prompted)
      let (values, model) = (setting.values, setting.model)
      let place = prompted ? "prompted." : ""
      let lengths = setting.ids.map { $0.count + setting.promptLength }
      let tape = Tape(backend, isRecording: false)
      let hidden = try setting.hidden(.all, on: tape).states
      for (number, states) in try setting.cut(hidden, lengths).enumerated() {
        try values.expectClose(states, "\(place)hidden.\(number)", relative: 1e-4)
      }
      if values.has("logits.0") {
        let logits = try model.logits(hidden, on: tape)
        #expect(logits.shape.columns == model.facts.vocabularySize)
        for (number, scores) in try setting.cut(logits, lengths).enumerated() {
          try values.expectClose(scores, "\(place)logits.\(number)", relative: 1e-4)
        }
      }
      // The last layer computes first rows only, as a classifier wants them.
      let ones = lengths.map { _ in 1 }
      let first = try setting.hidden(.first, on: tape).states
      let encoder = try #require(model as? any EncoderModel)
      #expect(encoder.hasPooler == (values.has("pooled.0") || name == "bert-untied-classifier"))
      if values.has("pooled.0") {
        for (number, states) in try setting.cut(try encoder.pooled(first, on: tape), ones).enumerated() {
          try values.expectClose(states, "\(place)pooled.\(number)", relative: 1e-4)
        }
      }
      #expect((model.storedClassifier != nil) == values.has("classes.0"))
      if let classifier = model.storedClassifier {
        #expect(classifier.token == .first)
        let scores = try classifier.scores(first, on: tape)
        #expect(classifier.labels.count == scores.shape.columns)
        for (number, row) in try setting.cut(scores, ones).enumerated() {
          try values.expectClose(row, "\(place)classes.\(number)", relative: 1e-4)
        }
      }
    }
  }

  /// The gradient of the prompt adds up over the sequences, each of which has rows of its own for it.
  @Test(arguments: Backends.available, names) func gradientOfPrompt(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let setting = try Setting(name, on: backend, prompted: true)
    let (values, model) = (setting.values, setting.model)
    let tape = Tape(backend)
    let isWhole = values.has("logits.0") || !(values.has("classes.0") || values.has("pooled.0"))
    let (hidden, leaf) = try setting.hidden(isWhole ? .all : .first, on: tape)
    let output: Variable
    if let classifier = model.storedClassifier {
      output = try classifier.scores(hidden, on: tape)
    } else if values.has("logits.0") {
      output = try model.logits(hidden, on: tape)
    } else if values.has("pooled.0") {
      output = try #require(model as? any EncoderModel).pooled(hidden, on: tape)
    } else {
      output = hidden
    }
    let cotangent = try setting.ids.indices.flatMap { try values.floats("cotangent.\($0)") }
    let gradients = try tape.gradients(of: output, cotangent: try backend.tensor(cotangent, output.shape))
    let prompt = try #require(leaf)
    try values.expectClose(
      try backend.values(try #require(gradients[prompt])), "gradient.prompt", relative: 1e-3)
    for parameter in model.parameters { #expect(gradients[parameter] == nil, "\(parameter.name) is frozen") }
  }

  /// Chosen rows are those of the whole computation, and masked-token losses those of their scores.
  @Test(arguments: Backends.available) func chosenRowsAndLosses(_ device: TestBackend) throws {
    let backend = try device.make()
    let setting = try Setting("bert-pretraining", on: backend, prompted: true)
    let tape = Tape(backend, isRecording: false)
    let lengths = setting.ids.map { $0.count + setting.promptLength }
    let all = try setting.cut(try setting.hidden(.all, on: tape).states, lengths)
    let width = setting.model.facts.hiddenWidth
    let rows = lengths.map { $0 > 4 ? [1, $0 - 1] : [$0 - 1] }
    let chosen = try setting.hidden(.rows(rows), on: tape).states
    let expected = zip(all, rows).flatMap { states, rows in rows.flatMap { states[$0 * width..<($0 + 1) * width] } }
    expectClose(try backend.values(chosen.value), expected, within: 1e-5)
    let text = try backend.values(try setting.hidden(.text, on: tape).states.value)
    expectClose(text, all.flatMap { $0.dropFirst(setting.promptLength * width) }, within: 1e-5)

    let logits = try backend.values(try setting.model.logits(chosen, on: tape).value)
    let vocabulary = setting.model.facts.vocabularySize
    let labels = randomIndices(chosen.shape[0], below: vocabulary, seed: 4)
    let losses = try backend.values(
      try setting.model.losses(chosen, try backend.indices(labels), on: tape).value)
    let wanted = labels.indices.map { row in
      let scores = logits[row * vocabulary..<(row + 1) * vocabulary].map(Double.init)
      return log(scores.reduce(0) { $0 + exp($1) }) - scores[Int(labels[row])]
    }
    expectClose(losses, wanted, within: 1e-5)
  }

  @Test func missingHeadsAndPositionsAreErrors() throws {
    let backend = try Backends.cpu.make()
    let setting = try Setting("roberta-classifier", on: backend, prompted: false)
    let tape = Tape(backend, isRecording: false)
    let hidden = try setting.hidden(.first, on: tape).states
    #expect(throws: CheckpointError.self) { try setting.model.logits(hidden, on: tape) }
    #expect(throws: CheckpointError.self) {
      try #require(setting.model as? any EncoderModel).pooled(hidden, on: tape)
    }
    // 17 positions, the first four of which are never used.
    #expect(setting.model.facts.maximumPositions == 13)
    let long = [Int32](repeating: 7, count: 14)
    let batch = try PackedBatch.bidirectional(promptLength: 0, [14], on: backend)
    #expect(throws: ComputeError.self) {
      try setting.model.encode(try setting.model.embed(long, on: tape), batch, cache: nil, on: tape)
    }
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
    #expect(again.parameters.map(\.name) == model.parameters.map(\.name))
    for (first, second) in zip(model.parameters, again.parameters) {
      #expect(
        try TensorBytes.of(first.value, on: backend) == TensorBytes.of(second.value, on: backend), "\(first.name)")
    }
  }

  @Test func optionsThatAreRefused() throws {
    let file = try ReferenceValues("bert-bare-bf16").directory.appendingPathComponent("config.json")
    let object = try #require(
      try JSONSerialization.jsonObject(with: try Data(contentsOf: file)) as? [String: Any])
    let cases: [(key: String, value: Any, words: String)] = [
      ("position_embedding_type", "relative_key", "'position_embedding_type'"), ("is_decoder", true, "'is_decoder'"),
      ("add_cross_attention", true, "'add_cross_attention'"), ("hidden_act", "mish", "'mish'"),
      ("num_attention_heads", 4, "does not divide"), ("rotary_value", true, "'rotary_value'"),
    ]
    for (key, value, words) in cases {
      let folder = try TemporaryFolder()
      var changed = object
      changed[key] = value
      try JSONSerialization.data(withJSONObject: changed).write(to: folder.file("config.json"))
      do {
        let directory = try ModelDirectory(folder.url)
        _ = try ModelDirectory.initialize(directory.configuration, seed: 1, on: try Backends.cpu.make())
        Issue.record("\(key) was accepted")
      } catch {
        #expect("\(error)".contains(words) && "\(error)".contains(key), "\(error)")
      }
    }
  }
}
