/// What can be wrong with a request to decode or to evaluate.
///
/// Every description is one line.
public enum EvaluationError: Error, Sendable, CustomStringConvertible {
  /// An option outside its range, in words.
  case refused(String)
  /// A context that leaves no position for a new token.
  case contextTooLong(index: Int, needed: Int, available: Int)
  /// A context without tokens, or with a token that the model does not have.
  case badContext(index: Int, reason: String)
  /// A score that is NaN or infinite.
  case nonFiniteScores(index: Int, step: Int)
  /// A prediction, or a row it belongs to, that a metric cannot use.
  case badAnswer(place: String, reason: String)
  /// A loss that is NaN or infinite.
  case nonFiniteLoss(example: String)

  public var description: String {
    switch self {
    case .refused(let reason): reason
    case .contextTooLong(let index, let needed, let available):
      "input \(index + 1) needs \(needed) positions with one new token, the model has \(available) beside the prompt"
    case .badContext(let index, let reason): "input \(index + 1) \(reason)"
    case .nonFiniteScores(let index, let step):
      "input \(index + 1): a score of new token \(step + 1) is not finite"
    case .badAnswer(let place, let reason): "\(place): \(reason)"
    case .nonFiniteLoss(let example): "\(example): the loss is not finite"
    }
  }
}
