import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning

/// Scores a prompted model on examples: the losses of their targets, and metrics of generated text.
public struct Evaluator {
  private let promptedModel: PromptedModel
  private let encoder: ExampleEncoder
  private let options: EvaluatorOptions

  /// The templates that put fields into words; nil for examples with an input of their own.
  public var texts: TemplatePool? { encoder.texts }

  /// - Throws: `EvaluationError.refused` for options that make no sense.
  public init(
    promptedModel: PromptedModel, encoder: ExampleEncoder, options: EvaluatorOptions = EvaluatorOptions()
  ) throws {
    try options.validate()
    self.promptedModel = promptedModel
    self.encoder = encoder
    self.options = options
  }

  /// Evaluates examples.
  ///
  /// All of them are put into tokens, and so checked, before anything is computed.
  ///
  /// - Parameters:
  ///   - task: how answers are compared and which word stands for which label.
  ///   - progress: is told how much of the work is done, from 0 to 1.
  /// - Throws: `MethodError.tooLong` for an example that does not fit; `EvaluationError.nonFiniteLoss`;
  ///   `ComputeError`.
  public func evaluate(
    _ examples: [Example], metrics: [EvaluationMetric], task: TaskFormat? = nil,
    progress: ((Double) -> Void)? = nil
  ) throws -> EvaluationResult {
    let wantsLoss = metrics.contains { $0.needsLoss }
    let wantsText = metrics.contains { $0.needsText }
    let scored = wantsLoss ? try examples.map { try encoder.encode($0) } : []
    let contexts = wantsText ? try examples.map { try encodeContext($0) } : []
    let work = Double(max(1, scored.count + contexts.count))
    let losses = try losses(scored) { progress?(Double($0) / work) }
    let generations = try generate(contexts) { progress?(Double(scored.count + $0) / work) }

    var values: [String: Double?] = [:]
    if wantsLoss {
      let loss = Self.corpusLoss(losses)
      values.updateValue(loss, forKey: EvaluationMetric.loss.rawValue)
      values.updateValue(Self.perplexity(loss), forKey: EvaluationMetric.perplexity.rawValue)
    }
    let predictions = generations.map(\.text)
    for metric in metrics where metric.needsText {
      values.updateValue(
        try metric.value(of: ScoredAnswers(predictions, for: examples, task: task)), forKey: metric.rawValue)
    }
    let encoded = wantsText ? contexts : scored
    let choices = try promptedModel.choices(of: encoded)
    let rows = examples.indices.map { place in
      PredictionRow(
        loss: wantsLoss ? losses[place].mean : nil, tokens: wantsLoss ? losses[place].tokens : nil,
        prediction: wantsText ? predictions[place] : nil, targets: wantsText ? examples[place].targets : nil,
        similarity: encoded.isEmpty ? nil : encoded[place].similarity, choice: choices?[place])
    }
    return EvaluationResult(
      report: EvaluationReport(examples: examples.count, metrics: values), rows: rows,
      cutExamples: encoded.count { $0.cutDemonstrations > 0 || $0.cutInputTokens > 0 },
      cutDemonstrations: encoded.reduce(0) { $0 + $1.cutDemonstrations },
      cutInputTokens: encoded.reduce(0) { $0 + $1.cutInputTokens },
      endedAtLastPosition: generations.count { $0.stop == .lastPosition },
      endedAtTokenLimit: generations.count { $0.stop == .tokenLimit })
  }

  /// The mean over all target tokens of all examples, in nats; nil without any.
  public static func corpusLoss(_ losses: [ExampleLoss]) -> Double? {
    let tokens = losses.reduce(0) { $0 + $1.tokens }
    return tokens == 0 ? nil : losses.reduce(0) { $0 + $1.total } / Double(tokens)
  }

  /// The exponential of a loss; nil where that is not defined or not a finite number.
  public static func perplexity(_ loss: Double?) -> Double? {
    guard let loss else { return nil }
    let value = exp(loss)
    return value.isFinite ? value : nil
  }

  /// The loss of each example, in order.
  ///
  /// - Parameter progress: is told how many examples are done.
  /// - Throws: `EvaluationError.nonFiniteLoss`; `ComputeError`.
  public func losses(_ examples: [EncodedExample], progress: ((Int) -> Void)? = nil) throws -> [ExampleLoss] {
    let backend = promptedModel.backend
    var results: [ExampleLoss] = []
    while results.count < examples.count {
      let batch = options.nextBatch(examples[results.count...])
      let values = try backend.values(
        try promptedModel.losses(options.copies(of: batch), on: Tape(backend, isRecording: false)).value)
      var first = 0
      for example in batch {
        // The mean over the members of an ensemble.
        let count = example.target.count * options.memberCount
        let total = values[first..<first + count].reduce(0.0) { $0 + Double($1) } / Double(options.memberCount)
        guard total.isFinite else { throw EvaluationError.nonFiniteLoss(example: "\(example.source)") }
        results.append(ExampleLoss(total: total, tokens: example.target.count))
        first += count
      }
      progress?(results.count)
    }
    return results
  }

  /// A context with room for as many new tokens as are asked for where something may be cut, else for one.
  ///
  /// - Throws: `MethodError.tooLong`.
  public func encodeContext(_ example: Example) throws -> EncodedExample {
    guard !encoder.truncation.isEmpty else { return try encoder.encodeContext(example, reserved: 1) }
    do {
      return try encoder.encodeContext(example, reserved: options.decoding.maxNewTokens)
    } catch MethodError.tooLong {
      return try encoder.encodeContext(example, reserved: 1)
    }
  }

  /// The continuation of each context, in order.
  ///
  /// - Parameter progress: is told how many are done.
  public func generate(_ contexts: [EncodedExample], progress: ((Int) -> Void)? = nil) throws -> [Generation] {
    let decoder = try TextDecoder(promptedModel: promptedModel, codec: encoder.codec, options: options.decoding)
    var done = 0
    guard options.memberCount > 1 else {
      return try decoder.generate(contexts.map(\.context)) { _, _ in
        done += 1
        progress?(done)
      }
    }
    var winners: [Generation] = []
    while winners.count < contexts.count {
      let batch = contexts[winners.count...].prefix(max(1, TextDecoder.contextsPerPlan / options.memberCount))
      let all = try decoder.generate(
        options.copies(of: batch).map(\.context), firstIndex: winners.count * options.memberCount)
      for start in stride(from: 0, to: all.count, by: options.memberCount) {
        let votes = all[start..<start + options.memberCount]
        winners.append(all[start + MajorityVote.winner(votes.map(\.text))])
      }
      progress?(winners.count)
    }
    return winners
  }
}
