import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning
import TestSupport
import Testing

@testable import Training

/// Losses, gradients and steps equal to what PyTorch and PEFT made of the same model and data.
@Suite struct ParityTests {
  /// Runs the ten steps of a fixture; `batchSize` and `accumulate` may split its batches of four.
  static func run(_ name: String, on device: TestBackend, batchSize: Int = 4, accumulate: Int = 1) throws -> (
    run: Reference.Run, setup: Setup, steps: [StepReport]
  ) {
    let run = try #require(try Reference.load().runs[name])
    let isFull = name.hasPrefix("fine-tuning")
    let setup = try Setup(device.make(), trainsModel: isFull, hasPrompt: !isFull)
    var options = Reference.options(run)
    options.batchSize = batchSize
    options.accumulate = accumulate
    let trainer = try Trainer(setup.prompted, data: setup.data, options: options)
    let folder = try TemporaryFolder()
    var steps: [StepReport] = []
    trainer.onEvent = { if case .step(let report) = $0 { steps.append(report) } }
    let outcome = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
    #expect(outcome.reason == .completed && outcome.step == 10)
    return (run, setup, steps)
  }

  @Test(arguments: Backends.available) func `tokens and losses of every example`(_ device: TestBackend) throws {
    let setup = try Setup(device.make())
    let reference = try Reference.load()
    #expect(setup.examples.count == reference.examples.count)
    for (index, expected) in reference.examples.enumerated() {
      let example = try setup.data.example(index, epoch: 0)
      #expect(example.context == expected.context && example.target == expected.target)
      let tape = Tape(setup.backend, isRecording: false)
      let rows = try setup.prompted.losses([example], on: tape)
      let loss = try setup.backend.sum(rows.value) / Double(example.target.count)
      let error = abs(loss - expected.loss_before)
      guard error <= 2e-5 else {
        Issue.record("example \(index): \(loss), not \(expected.loss_before)")
        continue
      }
    }
  }

  @Test(arguments: Backends.available) func `gradient of the first batch`(_ device: TestBackend) throws {
    let setup = try Setup(device.make())
    let data = try setup.data
    let batch = try (0..<4).map { try data.example($0, epoch: 0) }
    let gradient = try StepGradient(setup.prompted, [batch])
    let values = try setup.backend.values(#require(gradient.gradients[0]))
    let expected = try Reference.values("gradient.first")
    let scale = Double(expected.map(abs).max() ?? 1)
    // Sums of a few thousand f32 products on both sides.
    expectClose(values, expected, within: 2e-5 * scale)
  }

  @Test(
    arguments: Backends.available,
    [
      "adamw", "adamw-decay", "adamw-clipped", "adafactor-lester", "adafactor-scaled", "sgd-momentum", "sgd-clipped",
    ])
  func `ten steps on the prompt`(_ device: TestBackend, _ name: String) throws {
    let (run, setup, steps) = try Self.run(name, on: device)
    expectSteps(steps, run)
    let expected = try Reference.values("prompt.\(name)")
    let scale = Double(expected.map(abs).max() ?? 1)
    expectClose(try setup.promptValues, expected, within: 2e-4 * scale)
  }

  @Test(arguments: Backends.available, ["fine-tuning", "fine-tuning-clipped"])
  func `ten steps on all weights`(_ device: TestBackend, _ name: String) throws {
    let (run, setup, steps) = try Self.run(name, on: device)
    expectSteps(steps, run)
    for (tensor, expected) in try #require(run.final) {
      let parameter = try #require(setup.prompted.model.parameters.first { $0.name == tensor })
      let values = try setup.backend.values(parameter.value).map(Double.init)
      let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      guard abs(norm - expected.norm) <= 1e-3 * expected.norm else {
        Issue.record("\(tensor): norm \(norm), not \(expected.norm)")
        continue
      }
    }
    let whole = try Reference.tensors().entries.keys.filter { $0.hasPrefix("\(name).") }
    #expect(whole.count == 3)
    for key in whole {
      let tensor = String(key.dropFirst(name.count + 1))
      let parameter = try #require(setup.prompted.model.parameters.first { $0.name == tensor })
      let expected = try Reference.values(key)
      let scale = Double(expected.map(abs).max() ?? 1)
      expectClose(
        try setup.backend.values(parameter.value), expected, within: 1e-3 * scale, .absolute, Comment(rawValue: key))
    }
  }

  @Test(arguments: Backends.available, [(1, 4), (2, 2), (3, 2)])
  func `a batch may be split without changing anything`(_ device: TestBackend, _ split: (Int, Int)) throws {
    // Three and one are unequal parts of four; their examples have unequal lengths in any case.
    guard split.0 * split.1 == 4 else {
      let setup = try Setup(device.make())
      let data = try setup.data
      let batch = try (0..<4).map { try data.example($0, epoch: 0) }
      let whole = try StepGradient(setup.prompted, [batch])
      let parts = try StepGradient(setup.prompted, [Array(batch[..<3]), Array(batch[3...])])
      #expect(abs(whole.loss - parts.loss) <= 1e-6 * whole.loss)
      let expected = try setup.backend.values(#require(whole.gradients[0]))
      let scale = Double(expected.map(abs).max() ?? 1)
      expectClose(try setup.backend.values(#require(parts.gradients[0])), expected, within: 1e-5 * scale)
      return
    }
    let (run, _, steps) = try Self.run("adamw", on: device, batchSize: split.0, accumulate: split.1)
    expectSteps(steps, run)
  }

  private func expectSteps(_ steps: [StepReport], _ run: Reference.Run) {
    #expect(steps.map(\.step) == Array(1...10))
    for (step, (loss, norm)) in zip(steps, zip(run.losses, run.gradient_norms)) {
      guard abs(step.loss - loss) <= 2e-5 * loss else {
        Issue.record("step \(step.step): loss \(step.loss), not \(loss)")
        continue
      }
      guard abs(step.gradientNorm - norm) <= 1e-3 * norm else {
        Issue.record("step \(step.step): gradient norm \(step.gradientNorm), not \(norm)")
        continue
      }
    }
  }

  @Test(arguments: [
    ("constant", LearningRateSchedule.Shape.constant, 0), ("constant-warmup", .constant, 3), ("linear", .linear, 0),
    ("linear-warmup", .linear, 3), ("cosine", .cosine, 0), ("cosine-warmup", .cosine, 3),
  ])
  func `schedules equal those of transformers`(_ name: String, _ shape: LearningRateSchedule.Shape, _ warmup: Int)
    throws
  {
    let reference = try Reference.load().schedules
    let schedule = LearningRateSchedule(
      shape: shape, peak: reference.learning_rate, warmupSteps: warmup, totalSteps: reference.steps)
    let expected = try Reference.rates(name)
    #expect(expected.count == reference.steps)
    for (index, rate) in expected.enumerated() {
      guard abs(schedule.rate(step: index + 1) - rate) <= 1e-15 else {
        Issue.record("step \(index + 1): \(schedule.rate(step: index + 1)), not \(rate)")
        continue
      }
    }
  }
}
