import PromptTuning

/// How examples are evaluated.
///
/// None of it changes a result beyond the order of floating-point sums.
public struct EvaluatorOptions: Sendable, Hashable {
  /// Examples whose losses are computed at a time, at most.
  public var batchSize: Int
  /// Tokens of those examples, at most; a single longer example is computed alone.
  public var tokensPerBatch: Int
  /// How predictions are made.
  public var decoding: DecodingOptions
  /// How many prompts of an ensemble vote on each example; 1 for a single one.
  public var memberCount = 1

  public init(batchSize: Int = 32, tokensPerBatch: Int = 2048, decoding: DecodingOptions = DecodingOptions()) {
    self.batchSize = batchSize
    self.tokensPerBatch = tokensPerBatch
    self.decoding = decoding
  }

  /// - Throws: `EvaluationError.refused` naming the option.
  public func validate() throws {
    guard batchSize >= 1 else {
      throw EvaluationError.refused("the batch size is \(batchSize), at least 1 is needed")
    }
    guard tokensPerBatch >= 1 else {
      throw EvaluationError.refused("a batch of \(tokensPerBatch) tokens holds nothing, at least 1 is needed")
    }
    try decoding.validate()
  }
}

extension EvaluatorOptions {
  /// Each example once for every member of an ensemble.
  func copies(of examples: ArraySlice<EncodedExample>) -> [EncodedExample] {
    examples.flatMap { Array(repeating: $0, count: memberCount) }
  }

  /// The first examples that make up one batch; at least one.
  func nextBatch(_ examples: ArraySlice<EncodedExample>) -> ArraySlice<EncodedExample> {
    var tokens = 0
    let fitting = examples.prefix(batchSize).prefix { example in
      tokens += example.tokenCount
      return tokens <= tokensPerBatch
    }
    return fitting.isEmpty ? examples.prefix(1) : fitting
  }
}
