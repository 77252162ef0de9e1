import PromptTuning

/// Predictions beside the examples they are for, in the forms that metrics compare.
public struct ScoredAnswers {
  public let predictions: [String]
  private let examples: [Example]
  private let task: TaskFormat?
  /// Where each prediction stands, for messages.
  private let places: [String]

  /// - Parameters:
  ///   - predictions: one for each example.
  ///   - task: how answers are compared and which word stands for which label.
  ///   - places: where each prediction stands; nil for where the examples stand.
  public init(_ predictions: [String], for examples: [Example], task: TaskFormat? = nil, places: [String]? = nil) {
    precondition(predictions.count == examples.count, "a prediction for each example")
    precondition(places.map { $0.count == examples.count } ?? true, "a place for each prediction")
    self.predictions = predictions
    self.examples = examples
    self.task = task
    self.places = places ?? examples.map(\.source.description)
  }

  private func broken(_ example: Example, _ key: String, _ reason: String) -> EvaluationError {
    .badAnswer(place: example.source.description, reason: "field '\(key)' \(reason)")
  }

  /// The targets of each example; its label where it has none.
  func targets() throws -> [[String]] {
    try examples.map { example in
      if !example.targets.isEmpty { return example.targets }
      guard let label = example.label else { throw broken(example, "target", "is missing, and so is 'label'") }
      return [label.text]
    }
  }

  /// Predictions and targets in the form that an exact match compares.
  func comparable() throws -> (predictions: [String], targets: [[String]]) {
    let form = task?.normalization ?? .none
    return (predictions.map(form.applied(to:)), try targets().map { $0.map(form.applied(to:)) })
  }

  /// The label of each example; its first target where it has none.
  func labels() throws -> [String] {
    try examples.map { example in
      if let label = example.label { return label.text }
      guard let target = example.targets.first else {
        throw broken(example, "label", "is missing, and so is 'target'")
      }
      return target
    }
  }

  /// The label that each prediction names: a label word, without white space around it, names its label.
  var classes: [String] {
    guard let labels = task?.labels, let words = task?.labelWords, words.count == labels.count else {
      return predictions
    }
    return zip(predictions, examples).map { prediction, example in
      guard example.label != nil, !labels.contains(prediction) else { return prediction }
      let word = AnswerNormalization.trimmed.applied(to: prediction)
      return words.firstIndex(of: word).map { labels[$0] } ?? prediction
    }
  }

  /// Whether a label says yes: the last label of the task, else `1` or `true`.
  func yes(_ labels: [String]) -> [Bool] {
    let positive = task?.labels?.last
    return labels.map { positive == nil ? $0 == "1" || $0 == "true" : $0 == positive }
  }

  /// The question that each answer belongs to.
  func questions() throws -> [String] {
    try examples.map { example in
      guard let question = example.fields.texts["idx.question"] else {
        throw broken(example, "idx.question", "is missing; it says which answers belong together")
      }
      return (example.fields.texts["idx.paragraph"] ?? "") + "/" + question
    }
  }

  /// The logic form of each example.
  func logic() throws -> [String] {
    try examples.map { example in
      guard let logic = example.fields.texts["logic"] else { throw broken(example, "logic", "is missing") }
      return logic
    }
  }

  func labelValues() throws -> [Double] {
    try examples.map { example in
      let text = example.label?.text ?? example.targets.first
      guard let text else { throw broken(example, "label", "is missing, and so is 'target'") }
      guard let value = Double(text), value.isFinite else { throw broken(example, "label", "is '\(text)', no number") }
      return value
    }
  }

  func predictedValues() throws -> [Double] {
    try zip(predictions, places).map { prediction, place in
      let text = AnswerNormalization.trimmed.applied(to: prediction)
      guard let value = Double(text), value.isFinite else {
        throw EvaluationError.badAnswer(place: place, reason: "the prediction '\(prediction)' is no number")
      }
      return value
    }
  }
}
