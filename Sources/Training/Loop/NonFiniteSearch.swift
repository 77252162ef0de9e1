import Autodiff
import Compute
import PromptTuning

/// Finds the tensor in which a NaN or an infinity first appears.
enum NonFiniteSearch {
  /// Computes the batches of a step once more, looking at every value, and says what it found.
  static func explain(
    step: Int, objective: any Objective, _ batches: [[EncodedExample]], loss: Double, norm: Double?
  ) -> TrainingError {
    for batch in batches {
      do {
        for parameter in objective.trainableParameters where !parameter.value.isEmpty {
          if let element = try objective.backend.firstNonFinite(parameter.value) {
            return .nonFinite(
              step: step, what: "\(parameter.name) is not finite at element \(element)", batch: describe(batch))
          }
        }
        _ = try StepGradient(objective, [batch], step: step, checksFiniteness: true)
      } catch {
        return .nonFinite(step: step, what: "\(error)", batch: describe(batch))
      }
    }
    let what = loss.isFinite ? "the gradient's norm is \(norm ?? .nan)" : "the loss is \(loss)"
    return .nonFinite(step: step, what: what, batch: describe(batches.flatMap { $0 }))
  }

  /// The lines of a batch: `train.jsonl:3, 7, 12`.
  static func describe(_ batch: [EncodedExample]) -> String {
    var files: [String] = []
    var lines: [String: [Int]] = [:]
    for source in batch.map(\.source) {
      if lines[source.file] == nil { files.append(source.file) }
      lines[source.file, default: []].append(source.line)
    }
    return files.map { file in
      "\(file):" + (lines[file] ?? []).map(String.init).joined(separator: ", ")
    }.joined(separator: "; ")
  }
}
