import Autodiff
import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

/// Labels of words by adapters that PEFT saved: what PEFT computes with them, and its gradients
/// (tools/fixtures/token_heads.py).
@Suite struct TokenHeadFixtureTests {
  static let names = [
    "token-bert", "token-bert-prefix", "token-roberta", "token-distilbert", "token-gpt2", "token-gpt2-prefix",
    "token-llama",
  ]
  static let withHead = ["token-bert", "token-roberta", "token-gpt2", "token-llama"]

  private static func examples(_ fixture: TunedHeadFixture) throws -> [EncodedExample] {
    var examples: [EncodedExample] = []
    while fixture.expected.entries["ids.\(examples.count)"] != nil {
      let labels = try fixture.integers("labels.\(examples.count)")
      let places = labels.indices.filter { labels[$0] >= 0 }
      examples.append(
        EncodedExample(
          source: ExampleSource(file: "f", line: examples.count + 1),
          context: try fixture.integers("ids.\(examples.count)"), target: [], wordPlaces: places,
          answer: .labels(places.map { Int(labels[$0]) })))
    }
    return examples
  }

  /// The rows of the words' first tokens in tensors `NAME.N`.
  private static func rows(_ name: String, of examples: [EncodedExample], _ fixture: TunedHeadFixture) throws
    -> [[Float]]
  {
    try examples.enumerated().flatMap { number, example in
      let values = try fixture.floats("\(name).\(number)")
      let width = values.count / example.context.count
      return example.wordPlaces.map { Array(values[$0 * width..<($0 + 1) * width]) }
    }
  }

  @Test(arguments: Backends.available, names) func sameAsPEFT(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try TunedHeadFixture(name, on: backend)
    let examples = try Self.examples(fixture)
    #expect(fixture.record.kind.rawValue == TokenClassifierHead.name && fixture.record.token == nil)
    let (scores, expected) = (try fixture.task.scores(examples), try Self.rows("scores", of: examples, fixture))
    try #require(scores.count == expected.count)
    let largest = Double(expected.joined().map(abs).max() ?? 0)
    for (place, row) in expected.enumerated() {
      expectClose(scores[place], row, within: 1e-4 * largest + 1e-6, .absolute, "word \(place)")
    }
    let tape = Tape(backend)
    let losses = try fixture.task.losses(examples, on: tape)
    let expectedLosses = try fixture.floats("losses")
    #expect(examples.reduce(0) { $0 + fixture.task.lossCount(of: $1) } == expectedLosses.count)
    let values = try backend.values(losses.value)
    let bound = 1e-4 * Double(expectedLosses.map(abs).max() ?? 0)
    expectClose(values, expectedLosses, within: bound, .absolute, "losses")
    // The mean that training makes smaller is transformers' loss.
    let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
    expectClose([Float(mean)], try fixture.floats("loss"), within: bound, .absolute, "mean loss")
    try fixture.expectGradients(of: losses, on: tape)
  }

  /// A checkpoint's own classifier is found, and is a head without an adapter.
  @Test(arguments: Backends.available, withHead) func storedClassifier(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try TunedHeadFixture(name, on: backend)
    let examples = try Self.examples(fixture)
    // Loaded again: the fixture's has the adapter's tensors in it.
    let model = try ModelDirectory(fixture.directory).load(on: backend)
    let stored = try #require(model.storedClassifier)
    #expect(stored.token == .every)
    let record = try #require(HeadRecord(stored))
    #expect(record.kind.rawValue == TokenClassifierHead.name && record.labels == stored.labels)
    let head = try record.head(of: model, fixture.codec).head
    #expect(head.parameters.isEmpty && head.layout != nil)
    let task = TaskModel(PromptedModel(model: model, prompt: NoPrompt()), head: head)
    let expected = try Self.rows("stored", of: examples, fixture)
    let largest = Double(expected.joined().map(abs).max() ?? 0)
    for (row, expected) in zip(try task.scores(examples), expected) {
      expectClose(row, expected, within: 1e-4 * largest, .absolute)
    }
    let tape = Tape(backend, isRecording: false)
    let hidden = try task.prompted.hiddenStates(examples, .words, on: tape)
    expectClose(
      try backend.values(try stored.scores(hidden, on: tape).value), Array(expected.joined()), within: 1e-4 * largest,
      .absolute)
  }

  @Test(arguments: names) func keptAsRead(_ name: String) throws {
    try TunedHeadFixture(name, on: try Backends.cpu.make()).expectKeptAsRead(.tokenClassification)
  }
}
