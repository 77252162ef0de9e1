import Autodiff
import Compute
import PromptTuning

/// The loss of examples that are not trained on, and what a head answers for them.
public struct Validation: Sendable {
  /// Mean over all target tokens of all examples, or over the examples.
  public var loss: Double
  /// Scores of the labels, or the value, for each answer in order; empty where text is written.
  public var scores: [[Float]] = []
  /// What was to be answered.
  public var answers: [ExampleAnswer] = []

  /// Computes losses and answers; nil if it was interrupted.
  ///
  /// - Parameters:
  ///   - batchSize: examples that are computed together.
  ///   - limit: at most so many batches, as in a dry run.
  ///   - isInterrupted: asked between batches.
  /// - Throws: `TrainingError.nonFinite` at the first batch whose loss is NaN or infinite.
  static func of(
    _ data: any TrainingData, under objective: any Objective, batchSize: Int, step: Int, limit: Int = .max,
    isInterrupted: () -> Bool = { false }
  ) throws -> Validation? {
    var (sum, count) = (0.0, 0)
    var result = Validation(loss: 0)
    for start in stride(from: 0, to: data.count, by: batchSize).prefix(limit) {
      if isInterrupted() { return nil }
      let batch = try (start..<min(start + batchSize, data.count)).map { try data.example($0, epoch: 0) }
      let (rows, scores) = try objective.assessment(batch, on: Tape(objective.backend, isRecording: false))
      let part = try objective.backend.sum(rows.value)
      guard part.isFinite else {
        throw explain(step: step, objective: objective, batch, loss: part)
      }
      sum += part
      count += rows.value.count
      guard let scores else { continue }
      let values = try objective.backend.values(scores.value)
      let width = scores.shape.columns
      result.scores += (0..<scores.shape[0]).map { Array(values[$0 * width..<($0 + 1) * width]) }
      result.answers += batch.flatMap { $0.answer?.parts ?? [] }
    }
    result.loss = sum / Double(count)
    return result
  }

  private static func explain(step: Int, objective: any Objective, _ batch: [EncodedExample], loss: Double)
    -> TrainingError
  {
    let lines = NonFiniteSearch.describe(batch)
    do {
      _ = try objective.losses(batch, on: Tape(objective.backend, isRecording: false, checksFiniteness: true))
    } catch {
      return .nonFinite(step: step, what: "validation: \(error)", batch: lines)
    }
    return .nonFinite(step: step, what: "the validation loss is \(loss)", batch: lines)
  }
}
