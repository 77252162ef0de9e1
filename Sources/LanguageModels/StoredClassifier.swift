import Autodiff
import Compute

/// A classification head that a checkpoint holds, from the final hidden state of a token to scores of labels.
public struct StoredClassifier {
  /// Whose hidden state is read.
  public enum Token: String, Sendable, Hashable {
    case first
    case last
    /// Each one for itself: a label for every token.
    case every
  }

  /// Names of the labels, in the order of the scores.
  public let labels: [String]
  public let token: Token
  /// Its weights, some of the model's `parameters`; frozen until a method trains them.
  public let parameters: [Parameter]
  private let compute: (Variable, Tape) throws -> Variable

  init(
    labels: [String], token: Token, parameters: [Parameter],
    compute: @escaping (_ hidden: Variable, _ tape: Tape) throws -> Variable
  ) {
    self.labels = labels
    self.token = token
    self.parameters = parameters
    self.compute = compute
  }

  /// Scores of the labels: hidden states `[rows, hiddenWidth]` to `[rows, labels]`.
  public func scores(_ hidden: Variable, on tape: Tape) throws -> Variable { try compute(hidden, tape) }
}
