import PromptTuning

/// What all continuations of a call have in common.
struct ContinuationSetting {
  /// Cache rows that every sequence sees first: the prompt and the tokens that all contexts start with.
  var front: Range<Int>
  var stopTokens: Set<Int32>
}

/// One input while it is being continued.
protocol Continuation: AnyObject {
  /// The input's place.
  var index: Int { get }
  /// The cache rows it holds.
  var rows: Range<Int> { get }
  /// The rows it holds of the encoder's output; nil for a model without encoder.
  var memory: Range<Int>? { get }
  /// What has to be computed next.
  var requests: [DecodingRequest] { get }

  /// Takes the scores behind its requests.
  ///
  /// - Parameter first: the place of its first request among the scores.
  /// - Returns: cache rows to copy before the next pass, or the result.
  func advance(_ scores: DecodingScores, first: Int) -> ContinuationStep
}

/// What came of a step.
enum ContinuationStep {
  /// It goes on, once cache rows are copied (often none).
  case goesOn(copies: [CacheCopy])
  /// It has ended: the new tokens without an end token, and why.
  case ended([Int32], Generation.Stop)
}

/// Cache rows to copy to other ones.
struct CacheCopy: Hashable {
  var from: Range<Int>
  var to: Range<Int>
}

/// How many new tokens there may be, and what the reason is when they are there.
struct ContinuationLimit: Hashable {
  var tokens: Int
  var stop: Generation.Stop
}

/// A single sequence: greedy or drawn.
final class SingleContinuation: Continuation {
  let index: Int
  let rows: Range<Int>
  let memory: Range<Int>?
  private let setting: ContinuationSetting
  private let limit: ContinuationLimit
  private var pending: [Int32]
  private var computed = 0
  private var generated: [Int32] = []
  private var sampler: TokenSampler?

  /// - Parameters:
  ///   - context: at least one token that does not stand in the front yet.
  ///   - rows: as many cache rows as the context and the new tokens take.
  ///   - sampler: nil for the best token.
  init(
    index: Int, context: [Int32], rows: Range<Int>, memory: Range<Int>?, limit: ContinuationLimit,
    sampler: TokenSampler?, _ setting: ContinuationSetting
  ) {
    self.index = index
    self.rows = rows
    self.memory = memory
    self.setting = setting
    self.limit = limit
    self.sampler = sampler
    pending = context
  }

  var requests: [DecodingRequest] {
    [
      DecodingRequest(
        input: index, step: generated.count, tokens: pending, position: setting.front.count + computed,
        shared: setting.front.isEmpty ? [] : [setting.front],
        own: rows.lowerBound..<rows.lowerBound + computed + pending.count, memory: memory)
    ]
  }

  func advance(_ scores: DecodingScores, first: Int) -> ContinuationStep {
    computed += pending.count
    let token = sampler?.draw(from: scores.row(first)) ?? scores.best(first)
    if setting.stopTokens.contains(token) { return .ended(generated, .endToken) }
    generated.append(token)
    if generated.count == limit.tokens { return .ended(generated, limit.stop) }
    pending = [token]
    return .goesOn(copies: [])
  }
}
