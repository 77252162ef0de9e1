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
    let answers = try average(try encoded.map { try self.answers($0) })
    let choices = try model.prompted.choices(of: encoded[0])
    let kind = type(of: model.head).answers
    let kinds = LabelKinds(examples)
    var rows: [AnswerRow] = []
    var losses: [Double] = []
    for (place, example) in examples.enumerated() {
      guard let answer = encoded[0][place].answer else {
        throw EvaluationError.badAnswer(place: "\(example.source)", reason: "there is nothing to answer")
      }
      let expected = answer.parts
      let given = answers[place].map { $0.scores }
      let votes = answers[place].map(\.label)
      let parts = zip(given, expected).map { LabelScores.loss($0, $1) }
      guard parts.allSatisfy(\.isFinite) else { throw EvaluationError.nonFiniteLoss(example: "\(example.source)") }
      losses += parts
      rows.append(
        AnswerRow(
          prediction: kind == .value ? .number(given[0][0]) : Self.value(votes, of: kind, kinds, task),
          label: kind == .value
            ? example.label.map { .number(Float($0.value ?? .nan)) }
            : Self.value(expected.compactMap(\.classIndex), of: kind, kinds, task),
          scores: kind == .value ? nil : kind == .labels ? .words(given) : .row(given[0]),
          loss: parts.reduce(0, +) / Double(parts.count), position: choices?[place].position,
          length: choices?[place].length, pool_weights: choices?[place].poolWeights))
    }
    let mean = losses.isEmpty ? nil : losses.reduce(0, +) / Double(losses.count)
    let values = try values(of: metrics, rows, examples, loss: mean, task)
    return AnswerResult(
      report: EvaluationReport(examples: examples.count, metrics: values), rows: rows,
      cutExamples: encoded[0].count { $0.cutDemonstrations > 0 || $0.cutInputTokens > 0 })
  }

  /// Labels by their numbers, as the data writes them: one, or a list of those of words.
  private static func value(_ numbers: [Int], of kind: HeadAnswers, _ kinds: LabelKinds, _ task: TaskFormat)
    -> AnswerRow.Value
  {
    let names = numbers.map { kinds.value((task.labels ?? [])[$0]) }
    return kind == .labels ? .list(names) : names[0]
  }

  private func values(
    of metrics: [EvaluationMetric], _ rows: [AnswerRow], _ examples: [Example], loss: Double?, _ task: TaskFormat
  ) throws -> [String: Double?] {
    let kind = type(of: model.head).answers
    // Words that were cut from a row have no label here either.
    let words =
      kind == .labels
      ? try ScoredWords(
        zip(rows, examples).map { row, example in
          ScoredWords.Row(
            predictions: row.prediction.texts, labels: row.label?.texts ?? [], place: "\(example.source)")
        }) : nil
    let answers = words == nil ? ScoredAnswers(rows.map(\.prediction.text), for: examples, task: task) : nil
    var values: [String: Double?] = [:]
    for metric in metrics {
      let value: Double? =
        switch metric {
        case .loss: loss
        case .perplexity: kind == .value ? nil : Evaluator.perplexity(loss)
        default: try words.map(metric.value) ?? answers.flatMap { try metric.value(of: $0) }
        }
      values.updateValue(value, forKey: metric.rawValue)
    }
    return values
  }

  /// Scores of an answer, and the label that they, or most members of an ensemble, give.
  private struct Answer {
    var scores: [Float]
    var label: Int

    /// - Parameter votes: one for each member.
    init(_ votes: [[Float]]) {
      let labels = votes.map(LabelScores.best)
      scores = Self.mean(votes)
      label = labels[MajorityVote.winner(labels)]
    }

    /// The mean of as many scores, place by place; a single list stays as it is.
    static func mean(_ lists: [[Float]]) -> [Float] {
      guard lists.count > 1 else { return lists[0] }
      return lists[0].indices.map { place in
        Float(lists.reduce(0.0) { $0 + Double($1[place]) } / Double(lists.count))
      }
    }
  }

  /// What the head answers for each example, one or several answers each: `[examples][answers][members][outputs]`.
  private func answers(_ examples: [EncodedExample]) throws -> [[[[Float]]]] {
    var results: [[[[Float]]]] = []
    let members = options.memberCount
    while results.count < examples.count {
      let batch = options.nextBatch(examples[results.count...])
      var scores = try model.scores(options.copies(of: batch))[...]
      for example in batch {
        let count = model.answerCount(of: example)
        let votes = (0..<members).map { _ in
          defer { scores = scores.dropFirst(count) }
          return Array(scores.prefix(count))
        }
        results.append((0..<count).map { answer in votes.map { $0[answer] } })
      }
    }
    return results
  }

  /// The answers by the mean scores of several templates.
  private func average(_ scores: [[[[[Float]]]]]) throws -> [[Answer]] {
    scores[0].indices.map { example in
      scores[0][example].indices.map { answer in
        Answer(
          scores[0][example][answer].indices.map { member in
            Answer.mean(scores.map { $0[example][answer][member] })
          })
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
  /// A label as the data writes it, a number, or a list of the labels of words.
  public enum Value: Sendable, Hashable, Encodable {
    case string(String)
    case integer(Int)
    case boolean(Bool)
    case number(Float)
    indirect case list([Value])

    /// What metrics compare, one for each word.
    var texts: [String] {
      if case .list(let items) = self { items.map(\.text) } else { [text] }
    }

    /// What metrics compare.
    var text: String {
      switch self {
      case .list(let items): items.map(\.text).joined(separator: " ")
      case .string(let text): text
      case .integer(let number): String(number)
      case .boolean(let truth): String(truth)
      case .number(let number): "\(number)"
      }
    }

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .list(let items): try container.encode(items)
      case .string(let text): try container.encode(text)
      case .integer(let number): try container.encode(number)
      case .boolean(let truth): try container.encode(truth)
      case .number(let number): try container.encode(number)
      }
    }
  }

  /// Logits in the order of the labels: of a row, or of each of its words.
  public enum Scores: Sendable, Hashable, Encodable {
    case row([Float])
    case words([[Float]])

    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .row(let scores): try container.encode(scores)
      case .words(let scores): try container.encode(scores)
      }
    }
  }

  public var prediction: Value
  public var label: Value?
  /// Nil for a value.
  public var scores: Scores?
  /// Cross-entropy in nats, the mean over the words where each has a label; or the squared difference.
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
    for label in examples.lazy.flatMap(\.labels) { kinds[label.text] = label.kind }
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
