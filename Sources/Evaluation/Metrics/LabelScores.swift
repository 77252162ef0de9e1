import Foundation
import PromptTuning

/// What the scores of labels, or a predicted value, say about an example.
public enum LabelScores {
  /// The place of the largest score, the first one of several.
  public static func best(_ scores: [Float]) -> Int {
    scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 }
  }

  /// The cross-entropy of the softmax of scores, in nats; for a value the squared difference.
  ///
  /// - Parameter answer: one of `ExampleAnswer.parts`.
  public static func loss(_ scores: [Float], _ answer: ExampleAnswer) -> Double {
    switch answer {
    case .value(let value):
      let difference = Double(scores[0]) - value
      return difference * difference
    case .labels: preconditionFailure("labels of words have scores each for itself")
    case .label(let label):
      let largest = scores.map(Double.init).max() ?? 0
      let sum = scores.reduce(0.0) { $0 + exp(Double($1) - largest) }
      return largest + log(sum) - Double(scores[label])
    }
  }
}
