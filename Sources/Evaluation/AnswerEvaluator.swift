import Compute
import Foundation
import LanguageModels
import PromptTuning

/// Scores a head that answers with labels or values.
public struct AnswerEvaluator {
  private let model: TaskModel
  private let encoder: ExampleEncoder
  private let templates: [Int]
  private let options: EvaluatorOptions

  /// - Parameters:
  ///   - encoder: puts examples into tokens, with what the head is to answer.
  ///   - templates: places of the templates whose scores are averaged.
  /// - Throws: `EvaluationError.refused` for options that make no sense.
  public init(
    model: TaskModel, encoder: ExampleEncoder, templates: [Int], options: EvaluatorOptions = EvaluatorOptions()
  ) throws {
    try options.validate()
    precondition(!templates.isEmpty, "there is at least one template")
    self.model = model
    self.encoder = encoder
    self.templates = templates
    self.options = options
  }

  /// Evaluates examples, all of which are put into tokens, and so checked, before anything is computed.
  ///
  /// - Parameter task: its labels, and how answers are compared.
  /// - Throws: `MethodError`; `EvaluationError.nonFiniteLoss`; `.badAnswer`; `ComputeError`.
  public func evaluate(_ examples: [Example], metrics: [EvaluationMetric], task: TaskFormat) throws -> AnswerResult {
    let encoded = try templates.map { template in try examples.map { try encoder.encode($0, template: template) } }
    let (scores, votes) = Self.vote(average(try encoded.map { try self.scores($0) }), options.memberCount)
    let choices = try model.prompted.choices(of: encoded[0])
    let isValue = type(of: model.head).answers == .value
    let kinds = LabelKinds(examples)
    var rows: [AnswerRow] = []
    for (place, example) in examples.enumerated() {
      guard let answer = encoded[0][place].answer else {
        throw EvaluationError.badAnswer(place: "\(example.source)", reason: "there is nothing to answer")
      }
      let loss = LabelScores.loss(scores[place], answer)
      guard loss.isFinite else { throw EvaluationError.nonFiniteLoss(example: "\(example.source)") }
      rows.append(
        AnswerRow(
          prediction: isValue
            ? .number(scores[place][0]) : kinds.value((task.labels ?? [])[votes[place]]),
          label: example.label.map { isValue ? .number(Float($0.value ?? .nan)) : kinds.value($0.text) },
          scores: isValue ? nil : scores[place], loss: loss, position: choices?[place].position,
          length: choices?[place].length, pool_weights: choices?[place].poolWeights))
    }
    let answers = ScoredAnswers(rows.map(\.prediction.text), for: examples, task: task)
    var values: [String: Double?] = [:]
    let mean = rows.isEmpty ? nil : rows.reduce(0) { $0 + $1.loss } / Double(rows.count)
    for metric in metrics {
      let value: Double? =
        switch metric {
        case .loss: mean
        case .perplexity: isValue ? nil : Evaluator.perplexity(mean)
        default: try metric.value(of: answers)
        }
      values.updateValue(value, forKey: metric.rawValue)
    }
    return AnswerResult(
      report: EvaluationReport(examples: examples.count, metrics: values), rows: rows,
      cutExamples: encoded[0].count { $0.cutDemonstrations > 0 || $0.cutInputTokens > 0 })
  }

  /// What the head answers for each example.
  private func scores(_ examples: [EncodedExample]) throws -> [[Float]] {
    var results: [[Float]] = []
    let members = options.memberCount
    while results.count < examples.count * members {
      results += try model.scores(options.copies(of: options.nextBatch(examples[(results.count / members)...])))
    }
    return results
  }

  /// Of each example's answers by the members of an ensemble the mean scores and the label that most give.
  private static func vote(_ scores: [[Float]], _ members: Int) -> (scores: [[Float]], labels: [Int]) {
    guard members > 1 else { return (scores, scores.map(LabelScores.best)) }
    let groups = stride(from: 0, to: scores.count, by: members).map { Array(scores[$0..<$0 + members]) }
    let labels = groups.map { group in
      let votes = group.map(LabelScores.best)
      return votes[MajorityVote.winner(votes)]
    }
    let means = groups.map { group in
      group[0].indices.map { place in
        Float(group.reduce(0.0) { $0 + Double($1[place]) } / Double(members))
      }
    }
    return (means, labels)
  }

  private func average(_ scores: [[[Float]]]) -> [[Float]] {
    guard scores.count > 1 else { return scores[0] }
    return scores[0].indices.map { example in
      scores[0][example].indices.map { place in
        Float(scores.reduce(0.0) { $0 + Double($1[example][place]) } / Double(scores.count))
      }
    }
  }
}

/// What an evaluation of answers found.
public struct AnswerResult: Sendable {
  public var report: EvaluationReport
  /// One for each example, in order.
  public var rows: [AnswerRow]
  /// Examples whose demonstrations or fields were cut to make them fit.
  public var cutExamples: Int
}

/// A line of a predictions file of answers.
public struct AnswerRow: Sendable, Hashable, Encodable {
  /// A label as the data writes it, or a number.
  public enum Value: Sendable, Hashable, Encodable {
    case string(String)
    case integer(Int)
    case boolean(Bool)
    case number(Float)

    /// What metrics compare.
    var text: String {
      switch self {
      case .string(let text): text
      case .integer(let number): String(number)
      case .boolean(let truth): String(truth)
      case .number(let number): "\(number)"
      }
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .string(let text): try container.encode(text)
      case .integer(let number): try container.encode(number)
      case .boolean(let truth): try container.encode(truth)
      case .number(let number): try container.encode(number)
      }
    }
  }

  public var prediction: Value
  public var label: Value?
  /// Logits in the order of the labels; nil for a value.
  public var scores: [Float]?
  /// Cross-entropy in nats, or the squared difference.
  public var loss: Double
  /// How many virtual tokens stand in front, where that is learned.
  public var position: Int?
  /// How many virtual tokens there are, where that is learned.
  public var length: Int?
  /// The weight of each prompt of a pool.
  public var pool_weights: [Float]?

  /// Writes rows as JSON Lines; the file appears whole or not at all.
  ///
  /// - Throws: `CheckpointError.unwritable`.
  public static func write(_ rows: [AnswerRow], to url: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let file = try AtomicFile(url)
    for row in rows { try file.write(try encoder.encode(row) + Data("\n".utf8)) }
    try file.commit()
  }
}

/// What JSON has the labels as: predictions are written as the data writes its labels.
private struct LabelKinds {
  private var kinds: [String: ExampleLabel.Kind] = [:]
  private let common: ExampleLabel.Kind?

  init(_ examples: [Example]) {
    for label in examples.lazy.compactMap(\.label) { kinds[label.text] = label.kind }
    let found = Set(kinds.values)
    common = found.count == 1 ? found.first : nil
  }

  func value(_ label: String) -> AnswerRow.Value {
    switch kinds[label] ?? common {
    case .integer: Int(label).map { .integer($0) } ?? .string(label)
    case .boolean: Bool(label).map { .boolean($0) } ?? .string(label)
    case .number, .string, nil: .string(label)
    }
  }
}
