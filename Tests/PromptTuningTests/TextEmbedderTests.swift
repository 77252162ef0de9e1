import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing
import Tokenizers

@testable import PromptTuning

/// Texts to vectors, against hidden states of one text at a time.
@Suite struct TextEmbedderTests {
  private static let texts = [
    "one", "", "a longer text, with more tokens", "two", "three\n", String(repeating: "x", count: 40),
  ]

  private static func model(_ configuration: String, on backend: any ComputeBackend) throws -> any LanguageModel {
    let folder = try TemporaryFolder()
    try folder.write(configuration, to: "config.json")
    return try ModelDirectory.initialize(
      try ModelDirectory(folder.url).configuration, seed: 5, on: backend, ModelOptions())
  }

  private static let bert = """
    {"model_type": "bert", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 16,
     "vocab_size": 258, "max_position_embeddings": 48, "initializer_range": 0.4}
    """

  /// Its positions are relative.
  private static let t5 = """
    {"model_type": "t5", "d_model": 12, "d_kv": 4, "num_heads": 3, "d_ff": 16, "num_layers": 2, "num_decoder_layers": 1,
     "vocab_size": 258, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 9, "pad_token_id": 0,
     "decoder_start_token_id": 0, "eos_token_id": 1}
    """

  /// Hidden states of one text alone, a row for each token.
  private static func states(_ model: any LanguageModel, _ ids: [Int32]) throws -> [[Float]] {
    let tape = Tape(model.backend, isRecording: false)
    let isCausal = model.facts.kind == .causal
    let batch =
      isCausal
      ? try PackedBatch.causal(
        promptLength: 0, [PackedSequence(length: ids.count, outputs: ids.count)], on: model.backend)
      : try PackedBatch.bidirectional(promptLength: 0, [ids.count], on: model.backend)
    let hidden = try model.encode(try model.embed(ids, on: tape), batch, cache: nil, on: tape)
    let values = try model.backend.values(hidden.value)
    let width = model.facts.hiddenWidth
    return ids.indices.map { Array(values[$0 * width..<($0 + 1) * width]) }
  }

  private static func mean(_ rows: [[Float]]) -> [Double] {
    (0..<rows[0].count).map { column in rows.reduce(0.0) { $0 + Double($1[column]) } / Double(rows.count) }
  }

  private static func unit(_ vector: [Double]) -> [Double] {
    let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return vector.map { $0 / length }
  }

  @Test(arguments: Backends.available, ["bert", "gpt2", "t5"]) func pooling(_ device: TestBackend, _ family: String)
    throws
  {
    let backend = try device.make()
    let model =
      try family == "gpt2" ? TinyModel.gpt2(on: backend) : Self.model(family == "t5" ? Self.t5 : Self.bert, on: backend)
    let tokenizer = ByteTokenizer(addsBeginToken: true)
    func embed(_ pooling: EmbeddingPooling, _ normalizes: Bool) throws -> [TextEmbedding] {
      try TextEmbedder(
        model: model, tokenizer: tokenizer, modules: nil,
        options: EmbeddingOptions(pooling: pooling, normalizes: normalizes)
      ).embed(Self.texts)
    }
    for (number, text) in Self.texts.enumerated() {
      let rows = try Self.states(model, tokenizer.encode(text))
      expectClose(try embed(.mean, false)[number].vectors[0], Self.mean(rows), within: 2e-5)
      expectClose(try embed(.auto, true)[number].vectors[0], Self.unit(Self.mean(rows)), within: 2e-5)
      expectClose(try embed(.first, false)[number].vectors[0], rows[0], within: 2e-5)
      let whole = try embed(.none, false)[number]
      #expect(whole.isPerToken && whole.vectors.count == rows.count)
      expectClose(whole.vectors.flatMap { $0 }, rows.flatMap { $0 }, within: 2e-5)
    }
  }

  @Test func textsThatDoNotFit() throws {
    let backend = try Backends.cpu.make()
    let model = try Self.model(Self.bert, on: backend)
    func embedder(_ pooling: EmbeddingPooling = .mean, cuts: Bool, begin: Bool = true) -> TextEmbedder {
      TextEmbedder(
        model: model, tokenizer: ByteTokenizer(addsBeginToken: begin), modules: nil,
        options: EmbeddingOptions(pooling: pooling, cutsTexts: cuts))
    }
    let long = String(repeating: "ab", count: 30)
    let error = #expect(throws: MethodError.self) {
      try embedder(cuts: false).embed(["x", long], source: "input", firstNumber: 4)
    }
    #expect("\(try #require(error))".contains("input:5: the text has 61 tokens, the model has 48 positions"))
    let cut = try embedder(cuts: true).embed([long])[0]
    #expect(cut.cutTokens == 13)
    let expected = try Self.states(model, [257] + long.utf8.prefix(47).map { Int32($0) })
    expectClose(cut.vectors[0], Self.mean(expected), within: 2e-5)
    // Without special tokens an empty text has nothing to pool, and no vectors of tokens either.
    #expect(throws: MethodError.self) { try embedder(cuts: false, begin: false).embed([""]) }
    let none = try embedder(.none, cuts: false, begin: false).embed(["", "ab"])
    #expect(none.map(\.vectors.count) == [0, 2])
  }

  /// The steps of a sentence encoder: prefix, lower case, cut, two poolings side by side, dense layer, length 1.
  @Test(arguments: Backends.available) func sentenceModules(_ device: TestBackend) throws {
    let backend = try device.make()
    let model = try Self.model(Self.bert, on: backend)
    let folder = try SentenceFolder(width: 24, outputs: 5)
    let modules = try #require(try SentenceModules(directory: folder.url))
    #expect(modules.maximumTokens == 20 && modules.poolings == [.first, .mean] && modules.textPrefix == "q: ")
    let embedder = TextEmbedder(
      model: model, tokenizer: ByteTokenizer(addsBeginToken: true), modules: modules, options: EmbeddingOptions())
    let got = try embedder.embed(["Hello", "A text that IS longer than twenty"])
    let ids: [[Int32]] = ["q: hello", "q: a text that is longer than twenty"].map { text in
      Array(([257] + text.utf8.map { Int32($0) }).prefix(20))
    }
    #expect(got.map(\.cutTokens) == [0, 17])
    for (embedding, ids) in zip(got, ids) {
      let rows = try Self.states(model, ids)
      let pooled = rows[0].map(Double.init) + Self.mean(rows)
      let dense = (0..<5).map { output in
        let product = pooled.indices.reduce(0.0) { $0 + Double(folder.weight[output * 24 + $1]) * pooled[$1] }
        return tanh(Double(folder.bias[output]) + product)
      }
      expectClose(embedding.vectors[0], Self.unit(dense), within: 2e-5)
    }
    // A pooling that is chosen takes the place of all that.
    let plain = try TextEmbedder(
      model: model, tokenizer: ByteTokenizer(addsBeginToken: true), modules: modules,
      options: EmbeddingOptions(pooling: .mean)
    ).embed(["Hello"])[0]
    expectClose(
      plain.vectors[0], Self.mean(try Self.states(model, [257] + "Hello".utf8.map { Int32($0) })), within: 2e-5)
  }
}

/// A folder in the layout of sentence-transformers, without the model.
struct SentenceFolder {
  let folder: TemporaryFolder
  var url: URL { folder.url }
  let weight: [Float]
  let bias: [Float]

  init(width: Int, outputs: Int) throws {
    folder = try TemporaryFolder()
    weight = normals(width * outputs, seed: 1, deviation: 0.3)
    bias = normals(outputs, seed: 2)
    for name in ["1_Pooling", "2_Dense"] {
      try FileManager.default.createDirectory(at: folder.file(name), withIntermediateDirectories: true)
    }
    try folder.write(
      """
      [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
       {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
       {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
       {"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"}]
      """, to: "modules.json")
    try folder.write(
      #"{"word_embedding_dimension": 12, "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}"#,
      to: "1_Pooling/config.json")
    try folder.write(#"{"max_seq_length": 20, "do_lower_case": true}"#, to: "sentence_bert_config.json")
    try folder.write(
      #"{"prompts": {"query": "q: "}, "default_prompt_name": "query"}"#, to: "config_sentence_transformers.json")
    try folder.write(
      """
      {"in_features": \(width), "out_features": \(outputs), "bias": true,
       "activation_function": "torch.nn.modules.activation.Tanh"}
      """, to: "2_Dense/config.json")
    try SafetensorsWriter.write(
      [
        .init(name: "linear.weight", shape: [outputs, width], floats: weight),
        .init(name: "linear.bias", shape: [outputs], floats: bias),
      ], to: folder.file("2_Dense/model.safetensors"))
  }
}
