import Compute
import LanguageModels
import PromptTuning

/// Continues texts with a prompted model, many at a time, by way of a key/value cache.
///
/// The prompt is computed once for a call, and so is what all contexts start with (fixed demonstrations); every text
/// attends to those keys and values. Texts of different lengths lie end to end in one batch, without padding; a finished
/// one leaves at once, and the next one takes its place.
public struct TextDecoder {
  private let promptedModel: PromptedModel
  private let codec: TextCodec
  private let options: DecodingOptions

  /// Tokens of new contexts that are computed in one pass, at most; a single longer one is computed alone.
  private static let contextTokensPerPass = 2048

  /// Contexts that are arranged at a time where each has vectors of its own.
  static let contextsPerPlan = 256

  /// - Throws: `EvaluationError.refused` for options that make no sense.
  public init(promptedModel: PromptedModel, codec: TextCodec, options: DecodingOptions) throws {
    try options.validate()
    self.promptedModel = promptedModel
    self.codec = codec
    self.options = options
  }

  /// Continues contexts.
  ///
  /// All of them are checked before the first one is computed.
  ///
  /// - Parameters:
  ///   - contexts: token ids, at least one each, without the prompt.
  ///   - firstIndex: what number the first one has; drawing depends on seed and number.
  ///   - onFinished: is told place and result of each as soon as it is known, in any order.
  /// - Returns: the results in the order of the contexts.
  /// - Throws: `EvaluationError` for a context that is empty, too long or has unknown tokens, and for scores that are
  ///   not finite; `ComputeError`.
  public func generate(
    _ contexts: [[Int32]], firstIndex: Int = 0, onFinished: ((Int, Generation) throws -> Void)? = nil
  ) throws -> [Generation] {
    let limits = try contexts.indices.map { try limit(contexts[$0], index: firstIndex + $0) }
    guard !contexts.isEmpty else { return [] }
    if promptedModel.prompt.variesByExample, contexts.count > Self.contextsPerPlan {
      // Vectors of their own for all contexts at a time would fill the device.
      return try stride(from: 0, to: contexts.count, by: Self.contextsPerPlan).flatMap { start in
        let part = Array(contexts[start..<min(start + Self.contextsPerPlan, contexts.count)])
        return try generate(part, firstIndex: firstIndex + start) { try onFinished?(start + $0, $1) }
      }
    }
    let plan = try DecodingPlan(contexts, closing: codec.closing.count, promptedModel)
    let needs = zip(plan.starts, limits).map { rowCount(context: $0.count, limit: $1.tokens) }
    var caches = try DecodingCaches(plan, needs: needs, promptedModel, options)
    let pass = DecodingPass(
      promptedModel: promptedModel, arranged: plan.arranged, cache: caches.own, memory: caches.memory,
      readsAllScores: options.strategy != .greedy)
    try pass.fillShared(plan.common)
    let setting = ContinuationSetting(front: plan.front, stopTokens: codec.stopTokens)

    var results = [Generation?](repeating: nil, count: contexts.count)
    var running: [any Continuation] = []
    var next = 0
    while next < contexts.count || !running.isEmpty {
      var newTokens = 0
      var newSources: (texts: [[Int32]], rows: [Range<Int>]) = ([], [])
      while next < contexts.count, running.count < options.batchSize {
        let start = plan.starts[next]
        let count = max(start.count, plan.memoryNeeds[next])
        guard newTokens == 0 || newTokens + count <= Self.contextTokensPerPass,
          let place = caches.take(own: needs[next], memory: plan.memoryNeeds[next])
        else { break }
        running.append(
          continuation(
            start, index: firstIndex + next, rows: place.own, memory: place.memory, limit: limits[next], setting))
        if let sources = plan.sources, let rows = place.memory {
          newSources.texts.append(sources[next])
          newSources.rows.append(rows)
        }
        newTokens += count
        next += 1
      }
      try pass.fillMemory(newSources.texts, rows: newSources.rows)
      running = try advance(running, pass) { continuation, tokens, stop in
        caches.give(continuation)
        let result = Generation(tokens: tokens, text: codec.decode(tokens), stop: stop)
        results[continuation.index - firstIndex] = result
        try onFinished?(continuation.index - firstIndex, result)
      }
    }
    return results.compactMap { $0 }
  }

  /// One pass over all running inputs; returns those that go on.
  private func advance(
    _ running: [any Continuation], _ pass: DecodingPass,
    onEnd: (any Continuation, [Int32], Generation.Stop) throws -> Void
  ) throws -> [any Continuation] {
    let requests = running.map(\.requests)
    let scores = try pass.run(requests.flatMap { $0 })
    var remaining: [any Continuation] = []
    var copies: [CacheCopy] = []
    var first = 0
    for (continuation, own) in zip(running, requests) {
      switch continuation.advance(scores, first: first) {
      case .goesOn(let wanted):
        copies += wanted
        remaining.append(continuation)
      case .ended(let tokens, let stop): try onEnd(continuation, tokens, stop)
      }
      first += own.count
    }
    try pass.cache.copyRows(
      from: copies.flatMap { $0.from.map(Int32.init) }, to: copies.flatMap { $0.to.map(Int32.init) })
    return remaining
  }

  private func continuation(
    _ context: [Int32], index: Int, rows: Range<Int>, memory: Range<Int>?, limit: ContinuationLimit,
    _ setting: ContinuationSetting
  ) -> any Continuation {
    switch options.strategy {
    case .greedy:
      SingleContinuation(
        index: index, context: context, rows: rows, memory: memory, limit: limit, sampler: nil, setting)
    case .sampling(let sampling):
      SingleContinuation(
        index: index, context: context, rows: rows, memory: memory, limit: limit,
        sampler: TokenSampler(sampling, input: index), setting)
    case .beams(let count, let lengthPenalty):
      BeamContinuation(
        index: index, context: context, rows: rows, memory: memory, limit: limit, beams: count,
        lengthPenalty: lengthPenalty, setting)
    }
  }

  /// How many new tokens a context may get.
  private func limit(_ context: [Int32], index: Int) throws -> ContinuationLimit {
    let facts = promptedModel.model.facts
    guard !context.isEmpty else { throw EvaluationError.badContext(index: index, reason: "has no tokens") }
    if let bad = context.first(where: { $0 < 0 || Int($0) >= facts.vocabularySize }) {
      throw EvaluationError.badContext(
        index: index, reason: "has the token \(bad), the model's vocabulary has \(facts.vocabularySize)")
    }
    guard let maximum = facts.maximumPositions else {
      return ContinuationLimit(tokens: options.maxNewTokens, stop: .tokenLimit)
    }
    let available = maximum - promptedModel.prompt.length
    guard context.count + 1 <= available else {
      throw EvaluationError.contextTooLong(index: index, needed: context.count + 1, available: available)
    }
    let room = available - context.count
    return room < options.maxNewTokens
      ? ContinuationLimit(tokens: room, stop: .lastPosition)
      : ContinuationLimit(tokens: options.maxNewTokens, stop: .tokenLimit)
  }

  private func rowCount(context: Int, limit: Int) -> Int {
    guard case .beams(let count, _) = options.strategy else { return context + limit }
    return BeamContinuation.rowCount(context: context, limit: limit, beams: count)
  }
}
