/// The first axis: how an example is put into tokens before the model sees it.
public protocol Template: Sendable {
  /// The demonstrations that stand in front of an example, each as token ids, first one first.
  ///
  /// - Parameter round: changes what a random choice gives from one pass over the data to the next.
  func demonstrations(for example: Example, round: Int, _ codec: TextCodec) throws -> [[Int32]]

  /// How similar the most similar demonstration is to an example; nil where similarity does not choose.
  func similarity(of example: Example) -> Double?
}

extension Template {
  public func similarity(of example: Example) -> Double? { nil }

  /// The input of an example: ids(input + newline), or ids(input) for an encoder.
  func input(of example: Example, _ codec: TextCodec) -> [Int32] { codec.encode(example.input + codec.separator) }

  /// The target of an example: ids(target) and the end token.
  func target(of example: Example, _ codec: TextCodec) -> [Int32] {
    codec.encode(example.targets[0]) + [codec.endToken]
  }
}

/// What may be cut from an example that does not fit.
public struct Truncation: OptionSet, Sendable, Hashable, Codable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Whole demonstrations, the first ones first.
  public static let demonstrations = Truncation(rawValue: 1)
  /// Tokens at the start of the input.
  public static let inputStart = Truncation(rawValue: 2)
  /// Tokens at the end of the input; the newline, or the end token of an encoder's input, stays.
  public static let inputEnd = Truncation(rawValue: 4)

  /// The words of `--truncate`.
  public static let names: [(name: String, value: Truncation)] = [
    ("demonstrations", .demonstrations), ("input-start", .inputStart), ("input-end", .inputEnd),
  ]
}

/// Turns examples into token ids that fit a model.
public struct ExampleEncoder: Sendable {
  public let codec: TextCodec
  public let template: any Template
  public let truncation: Truncation
  /// Positions that examples may take: the model's less the prompt's; nil where there is no limit.
  public let availablePositions: Int?

  /// - Throws: `MethodError.refused` if the prompt alone fills the model's positions.
  public init(
    codec: TextCodec, template: any Template, truncation: Truncation, maximumPositions: Int?, promptLength: Int
  ) throws {
    self.codec = codec
    self.template = template
    self.truncation = truncation
    availablePositions = maximumPositions.map { $0 - promptLength }
    if let maximumPositions, promptLength + 2 > maximumPositions {
      throw MethodError.refused(
        "a prompt of \(promptLength) tokens does not fit the model's \(maximumPositions) positions")
    }
    if truncation.contains([.inputStart, .inputEnd]) {
      throw MethodError.refused("--truncate: an input is cut from its start or from its end, not both")
    }
  }

  /// The tokens of an example, with its first target.
  ///
  /// - Throws: `MethodError.tooLong` if it does not fit and nothing more may be cut; `.unknownToken`
  ///   if the model has no embedding for one of its tokens.
  public func encode(_ example: Example, round: Int = 0) throws -> EncodedExample {
    try encode(example, target: template.target(of: example, codec), reserved: 0, round: round)
  }

  /// The tokens of an example's context alone, with room for `reserved` new tokens.
  ///
  /// - Throws: `MethodError.tooLong` if it does not fit and nothing more may be cut; `.unknownToken`
  ///   if the model has no embedding for one of its tokens.
  public func encodeContext(_ example: Example, reserved: Int) throws -> EncodedExample {
    try encode(example, target: [], reserved: reserved, round: 0)
  }

  private func encode(_ example: Example, target: [Int32], reserved: Int, round: Int) throws -> EncodedExample {
    var demonstrations = try template.demonstrations(for: example, round: round, codec)
    var input = template.input(of: example, codec)
    func needed() -> Int {
      codec.opening.count + demonstrations.reduce(0) { $0 + $1.count } + input.count + codec.closing.count
        + target.count + reserved
    }
    var (cutDemonstrations, cutInputTokens) = (0, 0)
    if let available = availablePositions, needed() > available {
      let wanted = needed()
      while truncation.contains(.demonstrations), !demonstrations.isEmpty, needed() > available {
        demonstrations.removeFirst()
        cutDemonstrations += 1
      }
      let excess = needed() - available
      if excess > 0, !truncation.isDisjoint(with: [.inputStart, .inputEnd]), excess < input.count {
        // The last token holds the newline, where that is what separates input and target.
        let last = codec.separator.isEmpty ? input.count : input.count - 1
        let end = truncation.contains(.inputStart) ? excess : last
        input.removeSubrange(end - excess..<end)
        cutInputTokens = excess
      }
      guard needed() <= available else {
        throw MethodError.tooLong(source: example.source, needed: wanted, available: available)
      }
    }
    let context = codec.opening + demonstrations.flatMap { $0 } + input + codec.closing
    for id in context + target where Int(id) >= codec.embeddingCount {
      throw MethodError.unknownToken(source: example.source, id: id, vocabularySize: codec.embeddingCount)
    }
    return EncodedExample(
      source: example.source, context: context, target: target, cutDemonstrations: cutDemonstrations,
      cutInputTokens: cutInputTokens, similarity: demonstrations.isEmpty ? nil : template.similarity(of: example))
  }
}
