import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@testable import Evaluation

@Suite struct EvaluatorTests {
  private static let examples: [Example] = [
    ("name: Aromi", ["A place.", "Aromi is a place."]), ("", [""]), ("one", ["1"]), ("two words", ["zwei", "deux"]),
    ("a longer input than the others have", ["and a longer target, too"]), ("x", ["y"]), ("é", ["ü\n"]),
  ].enumerated().map { place, pair in
    Example(input: pair.0, targets: pair.1, source: ExampleSource(file: "data.jsonl", line: place + 1))
  }

  private static func setting(_ backend: any ComputeBackend, positions: Int = 96) throws -> (
    model: PromptedModel, encoder: ExampleEncoder
  ) {
    let model = try TinyModel.gpt2(on: backend, positions: positions)
    let width = model.facts.embeddingWidth
    let prompt = try StaticPrompt(
      values: normals(3 * width, seed: 3, deviation: 0.3), length: 3, width: width, isTrainable: false, on: backend)
    let codec = try TextCodec(tokenizer: ByteTokenizer(), facts: model.facts)
    let encoder = try ExampleEncoder(
      codec: codec, template: PlainTemplate(), truncation: [], maximumPositions: positions, promptLength: 3)
    return (PromptedModel(model: model, prompt: prompt), encoder)
  }

  /// Negative log-likelihoods of an example's target tokens, from all logits of one sequence, in Double.
  private static func reference(_ model: PromptedModel, _ example: EncodedExample) throws -> [Double] {
    let tape = Tape(model.backend, isRecording: false)
    let tokens = example.context + example.target
    let batch = try PackedBatch.causal(
      promptLength: model.prompt.length, [PackedSequence(length: tokens.count, outputs: tokens.count)],
      on: model.backend)
    let hidden = try model.model.encode(try model.embed(tokens, on: tape), batch, cache: nil, on: tape)
    let scores = try model.backend.values(try model.model.logits(hidden, on: tape).value)
    let vocabulary = model.model.facts.vocabularySize
    return example.target.indices.map { place in
      let row = (example.context.count + place - 1) * vocabulary
      let values = scores[row..<row + vocabulary].map(Double.init)
      let largest = values.max() ?? 0
      let sum = values.reduce(0) { $0 + exp($1 - largest) }
      return largest + log(sum) - values[Int(example.target[place])]
    }
  }

  @Test(arguments: Backends.available) func losses(_ device: TestBackend) throws {
    let (model, encoder) = try Self.setting(try device.make())
    let evaluator = try Evaluator(promptedModel: model, encoder: encoder, options: EvaluatorOptions(batchSize: 3))
    let result = try evaluator.evaluate(Self.examples, metrics: [.loss])
    var (total, tokens) = (0.0, 0)
    for (row, example) in zip(result.rows, Self.examples) {
      let expected = try Self.reference(model, try encoder.encode(example))
      total += expected.reduce(0, +)
      tokens += expected.count
      let mean = expected.reduce(0, +) / Double(expected.count)
      let error = abs((row.loss ?? .nan) - mean)
      guard error <= 2e-5 * max(1, mean) else {
        Issue.record("line \(example.source.line): loss \(String(describing: row.loss)), not \(mean)")
        continue
      }
      #expect(row.tokens == expected.count && row.prediction == nil && row.targets == nil)
    }
    let loss = try #require(result.report.metrics["loss"] ?? nil)
    let perplexity = try #require(result.report.metrics["perplexity"] ?? nil)
    guard abs(loss - total / Double(tokens)) <= 2e-5 * loss, abs(perplexity - exp(loss)) <= 1e-9 * perplexity else {
      Issue.record("corpus loss \(loss), perplexity \(perplexity), not \(total / Double(tokens))")
      return
    }
    #expect(result.report.examples == Self.examples.count)
  }

  private static let batches = [
    EvaluatorOptions(batchSize: 1), EvaluatorOptions(batchSize: 2), EvaluatorOptions(batchSize: 5),
    EvaluatorOptions(tokensPerBatch: 1), EvaluatorOptions(tokensPerBatch: 100),
  ]

  /// Sums of batches of few rows may be formed in another order; otherwise batches do not matter.
  @Test(arguments: Backends.available) func lossesDoNotDependOnTheBatch(_ device: TestBackend) throws {
    let (model, encoder) = try Self.setting(try device.make())
    let encoded = try Self.examples.map { try encoder.encode($0) }
    func losses(_ options: EvaluatorOptions) throws -> [ExampleLoss] {
      try Evaluator(promptedModel: model, encoder: encoder, options: options).losses(encoded)
    }
    let together = try losses(EvaluatorOptions())
    for options in Self.batches {
      for (loss, expected) in zip(try losses(options), together) {
        #expect(loss.tokens == expected.tokens)
        guard abs(loss.mean - expected.mean) <= 2e-6 * max(1, expected.mean) else {
          Issue.record("\(loss.mean) with batches of \(options.batchSize), not \(expected.mean)")
          continue
        }
      }
    }
  }

  /// On the CPU, examples with more rows than that have the same losses to the last bit in every batch.
  @Test func lossesAreTheSameBits() throws {
    let (model, encoder) = try Self.setting(try Backends.cpu.make())
    let encoded = try ["a target of twenty", "another one, which is longer", "a third of eighteen"].enumerated().map {
      try encoder.encode(
        Example(
          input: String(repeating: "input ", count: 3 + $0), targets: [$1],
          source: ExampleSource(file: "data.jsonl", line: $0)))
    }
    func losses(_ options: EvaluatorOptions) throws -> [ExampleLoss] {
      try Evaluator(promptedModel: model, encoder: encoder, options: options).losses(encoded)
    }
    let together = try losses(EvaluatorOptions())
    for options in Self.batches { #expect(try losses(options) == together, "batches of \(options.batchSize)") }
  }

  @Test func metricsOfGeneratedText() throws {
    let (model, encoder) = try Self.setting(try Backends.cpu.make())
    let options = EvaluatorOptions(decoding: DecodingOptions(maxNewTokens: 6))
    let evaluator = try Evaluator(promptedModel: model, encoder: encoder, options: options)
    let predictions = try evaluator.generate(try Self.examples.map { try evaluator.encodeContext($0) }).map(\.text)
    // The third example has the prediction as its second target, the fourth as its first.
    var examples = Self.examples
    examples[2].targets = ["something else", predictions[2]]
    examples[3].targets = [predictions[3]]
    let result = try evaluator.evaluate(examples, metrics: [.exactMatch, .accuracy, .loss, .bleu, .rougeL])
    #expect(result.report.metrics["exact-match"] == 2.0 / 7)
    #expect(result.report.metrics["accuracy"] == 1.0 / 7)
    for (name, largest) in [("bleu", 100.0), ("rouge-l", 1.0)] {
      let value = try #require(result.report.metrics[name] ?? nil)
      #expect(value >= 0 && value <= largest, "\(name) is \(value)")
    }
    #expect(result.rows.map(\.prediction) == predictions)
    #expect(result.rows.map(\.targets) == examples.map(\.targets))
    #expect(result.rows.allSatisfy { $0.loss != nil && $0.tokens != nil })
  }

  @Test func reportsAndRowsAreJSON() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let report = EvaluationReport(examples: 2, metrics: ["loss": 1.5, "bleu": Double?.none])
    let json = try encoder.encode(report)
    #expect(String(decoding: json, as: UTF8.self) == #"{"examples":2,"metrics":{"bleu":null,"loss":1.5}}"#)
    #expect(try JSONDecoder().decode(EvaluationReport.self, from: json) == report)
    let folder = try TemporaryFolder()
    let file = folder.file("out.jsonl")
    try PredictionRow.write(
      [
        PredictionRow(loss: 0.25, tokens: 3),
        PredictionRow(prediction: "a/\n\u{2028}\"", targets: ["b", ""]),
      ], to: file)
    let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
    #expect(
      text == "{\"loss\":0.25,\"tokens\":3}\n"
        + "{\"prediction\":\"a/\\n\u{2028}\\\"\",\"targets\":[\"b\",\"\"]}\n")
    #expect(throws: CheckpointError.self) { try PredictionRow.write([], to: folder.file("none/out.jsonl")) }
  }

  @Test func undefinedMetricsAreNull() throws {
    let (model, encoder) = try Self.setting(try Backends.cpu.make())
    let evaluator = try Evaluator(promptedModel: model, encoder: encoder)
    let report = try evaluator.evaluate([], metrics: EvaluationMetric.allCases).report
    #expect(report.examples == 0)
    #expect(report.metrics.keys.sorted() == EvaluationMetric.allCases.map(\.rawValue).sorted())
    for (name, value) in report.metrics { #expect(value == nil, "\(name)") }
  }

  @Test func metricLists() throws {
    #expect(try EvaluationMetric.list("loss,exact-match") == [.loss, .exactMatch])
    for list in ["", "loss,", "los", "Loss", " loss"] {
      #expect(throws: EvaluationError.self, "'\(list)'") { try EvaluationMetric.list(list) }
    }
  }

  @Test func longExamplesAndCuts() throws {
    let (model, _) = try Self.setting(try Backends.cpu.make(), positions: 24)
    let codec = try TextCodec(tokenizer: ByteTokenizer(), facts: model.model.facts)
    func evaluator(_ truncation: Truncation, new: Int) throws -> Evaluator {
      let encoder = try ExampleEncoder(
        codec: codec, template: PlainTemplate(), truncation: truncation, maximumPositions: 24, promptLength: 3)
      return try Evaluator(
        promptedModel: model, encoder: encoder,
        options: EvaluatorOptions(decoding: DecodingOptions(maxNewTokens: new)))
    }
    let long = Example(
      input: "fifteen letters", targets: ["123456"], source: ExampleSource(file: "data.jsonl", line: 4))
    let error = #expect(throws: MethodError.self) { try evaluator([], new: 2).evaluate([long], metrics: [.loss]) }
    #expect(error.map { "\($0)" }?.hasPrefix("data.jsonl:4: ") == true)
    let cut = try evaluator(.inputStart, new: 2).evaluate([long], metrics: [.loss])
    #expect(cut.cutExamples == 1 && cut.cutInputTokens == 2 && cut.cutDemonstrations == 0)
    // Without truncation a context needs room for one new token; with it, for as many as are asked for.
    let short = try evaluator([], new: 10).evaluate([long], metrics: [.accuracy])
    #expect(short.cutExamples == 0 && short.endedAtLastPosition == 1)
    let roomy = try evaluator(.inputStart, new: 10).evaluate([long], metrics: [.accuracy])
    #expect(roomy.cutInputTokens == 5 && roomy.endedAtLastPosition == 0)
    // Cutting cannot make this much room: then one new token has to do.
    let full = try evaluator(.inputStart, new: 21).evaluate([long], metrics: [.accuracy])
    #expect(full.cutInputTokens == 0 && full.endedAtLastPosition == 1)
  }
}
