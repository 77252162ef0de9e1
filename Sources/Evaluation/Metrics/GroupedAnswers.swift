/// Scores of MultiRC: many answers to a question, each right or wrong (Khashabi et al., 2018).
public enum GroupedAnswers {
  /// F1 of the answers that are right, over all answers of all questions (F1a), from 0 to 1.
  ///
  /// Nil without an answer that is right or is said to be.
  public static func answerF1(predicted: [Bool], actual: [Bool]) -> Double? {
    precondition(predicted.count == actual.count, "a label for each prediction")
    let hits = zip(predicted, actual).count { $0 && $1 }
    let sum = predicted.count { $0 } + actual.count { $0 }
    return sum == 0 ? nil : 2 * Double(hits) / Double(sum)
  }

  /// The share of questions all of whose answers are judged right (EM), from 0 to 1, or nil without questions.
  ///
  /// - Parameter groups: the question of each answer.
  public static func questionExactMatch(predicted: [Bool], actual: [Bool], groups: [String]) -> Double? {
    precondition(
      predicted.count == actual.count && actual.count == groups.count, "a label and a group for each prediction")
    var isRight: [String: Bool] = [:]
    for place in groups.indices {
      isRight[groups[place], default: true] = isRight[groups[place], default: true] && predicted[place] == actual[place]
    }
    return isRight.isEmpty ? nil : Double(isRight.values.count { $0 }) / Double(isRight.count)
  }
}
