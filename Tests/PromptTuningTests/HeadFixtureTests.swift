import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

/// Heads on checkpoints without one, with adapters that PEFT saved: what PEFT computes with them, and its gradients
/// (tools/fixtures/heads.py).
@Suite struct HeadFixtureTests {
  static let names = [
    "head-bert", "head-roberta", "head-distilbert", "head-gpt2", "head-bert-regression", "prefix-bert",
    "prefix-roberta",
  ]

  private static func examples(_ fixture: TunedHeadFixture) throws -> [EncodedExample] {
    let answers: [ExampleAnswer] =
      fixture.record.labels.isEmpty
      ? try fixture.floats("labels").map { .value(Double($0)) }
      : try fixture.integers("labels").map { .label(Int($0)) }
    return try answers.enumerated().map { number, answer in
      EncodedExample(
        source: ExampleSource(file: "f", line: number + 1), context: try fixture.integers("ids.\(number)"), target: [],
        answer: answer)
    }
  }

  @Test(arguments: Backends.available, names) func sameAsPEFT(_ device: TestBackend, _ name: String) throws {
    let backend = try device.make()
    let fixture = try TunedHeadFixture(name, on: backend)
    let examples = try Self.examples(fixture)
    let scores = try fixture.task.scores(examples)
    for number in scores.indices {
      let expected = try fixture.floats("scores.\(number)")
      expectClose(
        scores[number], expected, within: 1e-4 * Double(expected.map(abs).max() ?? 0) + 1e-6, .absolute, "\(number)")
    }
    let tape = Tape(backend)
    let losses = try fixture.task.losses(examples, on: tape)
    let expected = try fixture.floats("losses")
    expectClose(try backend.values(losses.value), expected, within: 1e-4 * Double(expected.map(abs).max() ?? 0))
    try fixture.expectGradients(of: losses, on: tape)
  }

  @Test(arguments: names) func keptAsRead(_ name: String) throws {
    try TunedHeadFixture(name, on: try Backends.cpu.make()).expectKeptAsRead(.sequenceClassification)
  }
}
