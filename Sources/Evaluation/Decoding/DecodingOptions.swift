/// How tokens are chosen.
public enum DecodingStrategy: Sendable, Hashable, Codable {
  /// The token with the highest score, the first one if there are several.
  case greedy
  /// The `count` best continuations at every step. A finished one counts `log-probability / length^lengthPenalty`,
  /// end token included; above 0 longer ones gain.
  case beams(count: Int, lengthPenalty: Double = 1)
  /// Tokens drawn at random.
  case sampling(SamplingOptions)
}

/// How tokens are drawn: scores are divided by the temperature, then cut to `topK`, then to `topP`.
public struct SamplingOptions: Sendable, Hashable, Codable {
  /// Below 1 likely tokens become likelier.
  public var temperature: Double
  /// Only this many of the likeliest tokens; nil for all.
  public var topK: Int?
  /// Only the likeliest tokens that together reach this probability (Holtzman et al., 2020); nil for all.
  public var topP: Double?
  public var seed: UInt64

  public init(temperature: Double = 1, topK: Int? = nil, topP: Double? = nil, seed: UInt64 = 0) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.seed = seed
  }
}

/// How texts are continued.
public struct DecodingOptions: Sendable, Hashable, Codable {
  /// New tokens of one text at most, the end token not counted.
  public var maxNewTokens: Int
  public var strategy: DecodingStrategy
  /// Texts that are continued at a time, at most.
  public var batchSize: Int
  /// Bytes of keys and values that are kept at a time.
  ///
  /// One text is always admitted.
  public var cacheBytes: Int

  public init(
    maxNewTokens: Int = 128, strategy: DecodingStrategy = .greedy, batchSize: Int = 16, cacheBytes: Int = 1 << 30
  ) {
    self.maxNewTokens = maxNewTokens
    self.strategy = strategy
    self.batchSize = batchSize
    self.cacheBytes = cacheBytes
  }

  /// - Throws: `EvaluationError.refused` naming the option.
  public func validate() throws {
    func need(_ condition: Bool, _ reason: String) throws {
      guard condition else { throw EvaluationError.refused(reason) }
    }
    try need(maxNewTokens >= 1, "the number of new tokens is \(maxNewTokens), at least 1 is needed")
    try need(batchSize >= 1, "the batch size is \(batchSize), at least 1 is needed")
    try need(cacheBytes >= 0, "the cache's size is \(cacheBytes) bytes, which is negative")
    switch strategy {
    case .greedy: break
    case .beams(let count, let lengthPenalty):
      try need(count >= 1, "the number of beams is \(count), at least 1 is needed")
      try need(lengthPenalty.isFinite, "the length penalty is \(lengthPenalty), a finite number is needed")
    case .sampling(let sampling):
      let (temperature, topK, topP) = (sampling.temperature, sampling.topK, sampling.topP)
      try need(
        temperature > 0 && temperature.isFinite, "the temperature is \(temperature), a number above 0 is needed")
      if let topK { try need(topK >= 1, "top-k is \(topK), at least 1 is needed") }
      if let topP { try need(topP > 0 && topP <= 1, "top-p is \(topP), a number above 0 and up to 1 is needed") }
    }
  }
}

/// A continued text.
public struct Generation: Sendable, Hashable, Codable {
  /// Why a text ends where it does.
  public enum Stop: String, Sendable, Hashable, Codable {
    /// The model gave an end token.
    case endToken
    /// As many new tokens as were asked for.
    case tokenLimit
    /// The model has no further position.
    case lastPosition
  }

  /// The new tokens, without the end token.
  public var tokens: [Int32]
  /// The text of the tokens, special ones left out.
  public var text: String
  public var stop: Stop

  public init(tokens: [Int32], text: String, stop: Stop) {
    self.tokens = tokens
    self.text = text
    self.stop = stop
  }
}
