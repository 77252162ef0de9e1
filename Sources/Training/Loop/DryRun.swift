import Autodiff
import Compute
import Foundation
import PromptTuning

/// What a run would need, found out by one step that is not kept.
public struct DryRunReport: Sendable, Codable {
  public struct Memory: Sendable, Codable {
    /// Bytes of the model's weights as they are kept.
    public var weights: Int
    /// Bytes of what the optimizer remembers.
    public var optimizer: Int
    /// The most bytes that tensors on the device took during the step and a batch of validation.
    public var device_peak: Int
    /// The most bytes of this process on the host; null where the system does not say.
    public var host_peak: Int?
  }

  public struct Data: Sendable, Codable {
    public var file: String
    public var examples: Int
    /// The chosen line numbers, from 1.
    public var lines: [Int]
    /// The labels of a classification task; empty for generation.
    public var labels: [String]
    public var validation_examples: Int?

    public init(file: String, examples: Int, lines: [Int], labels: [String] = [], validation_examples: Int? = nil) {
      self.file = file
      self.examples = examples
      self.lines = lines
      self.labels = labels
      self.validation_examples = validation_examples
    }
  }

  public var device: String
  public var device_name: String
  public var model: String
  public var parameters: Int
  public var trainable_parameters: Int
  public var memory: Memory
  public var data: Data
  public var steps: Int
  /// The first step's, before any update.
  public var loss: Double
  public var gradient_norm: Double
  public var seconds_per_step: Double
  /// Of one validation of all its examples; null without validation.
  public var seconds_per_validation: Double?
  /// Of the whole run.
  public var estimated_seconds: Double

  /// Lines for a person.
  public var lines: [String] {
    let rows = [
      ("device", "\(device) (\(device_name))"), ("model", "\(model), \(parameters) parameters"),
      ("trainable", "\(trainable_parameters) parameters"), ("data", "\(data.examples) examples of \(data.file)"),
      ("first loss", "\(Readable.fixed(loss, 4)), gradient norm \(Readable.significant(gradient_norm))"),
      (
        "memory",
        "device \(Readable.bytes(memory.device_peak)) (weights \(Readable.bytes(memory.weights)))"
          + (memory.host_peak.map { ", process \(Readable.bytes($0))" } ?? "")
      ),
      (
        "time",
        "\(Readable.significant(seconds_per_step)) s a step, \(steps) steps, \(Readable.duration(estimated_seconds))"
      ),
    ]
    return rows.map { $0.0.padding(toLength: 11, withPad: " ", startingAt: 0) + $0.1 } + ["nothing was written"]
  }
}

extension Trainer {
  /// Takes the first step and validates one batch, and says what the whole run would need.
  ///
  /// Writes nothing.
  ///
  /// The step changes parameters in memory; a run needs a trainer and parameters of its own afterwards.
  ///
  /// - Throws: what `run` would throw in its first step.
  public func dryRun(_ task: TaskModel, model: String, data description: DryRunReport.Data) throws
    -> DryRunReport
  {
    let optimizer = try Optimizer(options, parameters: objective.trainableParameters, on: objective.backend)
    let first = try batches(ofStep: 1)
    // The first pass pays for compiled kernels and fresh memory; the second one is what every other step costs.
    let (loss, norm) = try attempt(1, first, optimizer)
    let clock = ContinuousClock()
    var start = clock.now
    _ = try attempt(2, first, optimizer)
    try objective.backend.synchronize()
    let perStep = (clock.now - start).seconds
    var perValidation: Double?
    if let validation {
      start = clock.now
      _ = try Validation.of(validation, under: objective, batchSize: options.batchSize, step: 1, limit: 1)
      let batches = (validation.count + options.batchSize - 1) / options.batchSize
      perValidation = (clock.now - start).seconds * Double(batches)
    }
    let validations = 2 + (options.validateEvery > 0 ? (totalSteps - 1) / options.validateEvery : 0)
    return DryRunReport(
      device: objective.backend.device.id, device_name: objective.backend.device.name, model: model,
      parameters: task.parameters.reduce(0) { $0 + $1.count },
      trainable_parameters: task.trainableParameters.reduce(0) { $0 + $1.count },
      memory: DryRunReport.Memory(
        weights: task.prompted.model.weightBytes, optimizer: optimizer.byteCount,
        device_peak: objective.backend.memory.peak, host_peak: ProcessMemory.peak),
      data: description, steps: totalSteps, loss: loss, gradient_norm: norm, seconds_per_step: perStep,
      seconds_per_validation: perValidation,
      estimated_seconds: perStep * Double(totalSteps) + (perValidation ?? 0) * Double(validations))
  }

  /// A step, or the losses alone where nothing is trainable.
  private func attempt(_ number: Int, _ batches: [[EncodedExample]], _ optimizer: Optimizer) throws -> (
    loss: Double, norm: Double
  ) {
    guard objective.trainableParameters.isEmpty else {
      return try update(number, batches, rate: options.learningRate, optimizer)
    }
    let tape = Tape(objective.backend, isRecording: false)
    let losses = try batches.flatMap { try objective.backend.values(objective.losses($0, on: tape).value) }
    return (losses.reduce(0) { $0 + Double($1) } / Double(losses.count), 0)
  }
}
