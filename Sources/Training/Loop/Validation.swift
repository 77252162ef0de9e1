import Autodiff
import Compute
import PromptTuning

/// The loss of examples that are not trained on.
public enum Validation {
  /// The mean negative log-likelihood over all target tokens of all examples; nil if it was interrupted.
  ///
  /// - Parameters:
  ///   - batchSize: examples that are computed together.
  ///   - limit: at most so many batches, as in a dry run.
  ///   - isInterrupted: asked between batches.
  /// - Throws: `TrainingError.nonFinite` at the first batch whose loss is NaN or infinite.
  static func loss(
    of data: any TrainingData, under objective: any Objective, batchSize: Int, step: Int, limit: Int = .max,
    isInterrupted: () -> Bool = { false }
  ) throws -> Double? {
    var (sum, tokens) = (0.0, 0)
    for start in stride(from: 0, to: data.count, by: batchSize).prefix(limit) {
      if isInterrupted() { return nil }
      let batch = try (start..<min(start + batchSize, data.count)).map { try data.example($0, epoch: 0) }
      let rows = try objective.losses(batch, on: Tape(objective.backend, isRecording: false))
      let part = try objective.backend.sum(rows.value)
      guard part.isFinite else {
        throw explain(step: step, objective: objective, batch, loss: part)
      }
      sum += part
      tokens += rows.value.count
    }
    return sum / Double(tokens)
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
