/// Where what is learned from an example comes from.
public enum AnswerSource: Sendable, Hashable {
  /// The example's first target.
  case targets
  /// The number of its label among those of a task.
  case labels(TaskFormat)
  /// The numbers of its words' labels among those of a task.
  case wordLabels(TaskFormat)
  /// The value of its label.
  case values(TaskFormat)

  /// What suits a head.
  ///
  /// - Throws: `MethodError.refused` for labels that nobody named.
  public init(_ answers: HeadAnswers, _ task: TaskFormat?) throws {
    switch answers {
    case .text: self = .targets
    case .label, .labels:
      guard let task, task.labels != nil else {
        throw MethodError.refused("the head answers with labels: the data's rows need '\(answers.rawValue)'")
      }
      self = answers == .label ? .labels(task) : .wordLabels(task)
    case .value: self = .values(task ?? TaskFormat(labelsAreValues: true))
    }
  }

  /// What a head learns to answer; nil where the target is learned.
  ///
  /// - Throws: `MethodError.badField` naming file and line for a label that is missing or not what it should be.
  func answer(of example: Example) throws -> ExampleAnswer? {
    switch self {
    case .targets: nil
    case .labels(let task): .label(try task.classIndex(of: example))
    case .wordLabels(let task): .labels(try task.classIndices(of: example))
    case .values(let task): .value(try task.value(of: example))
    }
  }
}

extension ExampleEncoder {
  /// - Throws: `MethodError.refused` if a head wants the mask token and a template has none, or wants words and something
  ///   else stands around them.
  public func check(has wanted: WantedRows) throws {
    guard wanted != .words || (template is PlainTemplate && texts == nil) else {
      throw MethodError.refused("the head reads words, around which neither a template nor demonstrations stand")
    }
    guard wanted == .mask else { return }
    guard let texts else {
      throw MethodError.refused("the head reads the mask token: a --template with {mask} says where it stands")
    }
    if let text = texts.templates.first(where: { !$0.hasMask }) {
      throw MethodError.refused("the template '\(text.source)' has no {mask}, which the head reads")
    }
  }
}
