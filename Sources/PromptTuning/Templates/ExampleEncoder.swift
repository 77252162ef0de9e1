/// Turns examples into token ids that fit a model.
public struct ExampleEncoder: Sendable {
  public let codec: TextCodec
  public let template: any Template
  /// The texts that put a row's fields into words; nil where examples have an input of their own.
  public let texts: TemplatePool?
  public let truncation: Truncation
  /// Positions that examples may take: the model's less the prompt's, or fewer where somebody chose a limit; nil where
  /// there is none.
  public let availablePositions: Int?
  /// What is learned from an example: its target, or what a head answers for it.
  public var answers = AnswerSource.targets

  /// - Parameters:
  ///   - maximumPositions: of the model; nil where it has no limit.
  ///   - maximumLength: the most tokens of an example, its demonstrations and its target included and virtual tokens
  ///     not, as Dynamic Prompting's 480 (section 4); nil for as many as the model has positions for.
  /// - Throws: `MethodError.refused` if the prompt alone fills the model's positions, if what may be cut excludes itself,
  ///   or if a text has its mask where the model has no use for it.
  public init(
    codec: TextCodec, template: any Template, texts: TemplatePool? = nil, truncation: Truncation,
    maximumPositions: Int?, promptLength: Int, maximumLength: Int? = nil
  ) throws {
    self.codec = codec
    self.template = template
    self.texts = texts
    self.truncation = truncation
    availablePositions = [maximumPositions.map { $0 - promptLength }, maximumLength].compactMap { $0 }.min()
    if let maximumPositions, promptLength + 2 > maximumPositions {
      throw MethodError.refused(
        "a prompt of \(promptLength) tokens does not fit the model's \(maximumPositions) positions")
    }
    if let maximumLength, maximumLength < 2 {
      throw MethodError.refused("--max-length \(maximumLength): an example takes at least 2 tokens")
    }
    if let maximumLength, let maximumPositions, maximumLength > maximumPositions - promptLength {
      throw MethodError.refused(
        "--max-length \(maximumLength): the model's \(maximumPositions) positions hold \(maximumPositions - promptLength) "
          + "tokens behind a prompt of \(promptLength)")
    }
    if truncation.contains([.inputStart, .inputEnd]) {
      throw MethodError.refused("--truncate: an input is cut from its start or from its end, not both")
    }
    if truncation.contains([.longestFields, .lastFields]) {
      throw MethodError.refused("--truncate: fields are cut longest first or last first, not both")
    }
    if truncation.fieldCut != nil, texts?.templates.contains(where: \.mayBeCut) != true {
      throw MethodError.refused(
        "--truncate fields-longest and fields-last need a template with a field that may be cut")
    }
    for text in texts?.templates ?? [] where text.hasMask {
      if codec.maskToken == nil, !text.endsInMask {
        throw MethodError.refused(
          "the template '\(text.source)' has text behind {mask}, which a model without a mask token cannot use")
      }
      if codec.maskToken != nil, !truncation.isDisjoint(with: [.inputStart, .inputEnd]) {
        throw MethodError.refused(
          "--truncate: cutting the input could cut {mask}; fields-longest or fields-last do not")
      }
    }
  }

  /// How many templates an example can be put into words by; 1 without a pool.
  public var templateCount: Int { texts?.count ?? 1 }

  /// Whether an example's tokens change from one pass over the data to the next.
  public var varies: Bool {
    (template as? DemonstrationTemplate)?.selection == .random || texts?.varies ?? false
  }

  /// The same encoder with another choice of template.
  ///
  /// - Throws: `MethodError.refused` for a template that is not there.
  public func choosing(_ choice: TemplatePool.Choice) throws -> ExampleEncoder {
    guard let texts else {
      guard choice == .sampled || choice == .fixed(0) else {
        throw MethodError.refused("there is no pool of templates to choose from")
      }
      return self
    }
    return try ExampleEncoder(self, texts: TemplatePool(texts.templates, choice: choice, seed: texts.seed))
  }

  private init(_ other: ExampleEncoder, texts: TemplatePool) {
    codec = other.codec
    template = other.template
    self.texts = texts
    truncation = other.truncation
    availablePositions = other.availablePositions
    answers = other.answers
  }

  /// The tokens of an example, with its first target or what a head is to answer.
  ///
  /// A head reads the text alone, without what separates it from a target.
  ///
  /// - Parameters:
  ///   - round: the pass over the data, which changes what a random choice gives.
  ///   - index: a template by its place from 0; nil for the pool's choice.
  /// - Throws: `MethodError.tooLong` if it does not fit and nothing more may be cut; `.unknownToken`
  ///   if the model has no embedding for one of its tokens; `.badField` without a target or a field.
  public func encode(_ example: Example, round: Int = 0, template index: Int? = nil) throws -> EncodedExample {
    if case .wordLabels = answers { return try encodeWords(example) }
    guard let answer = try answers.answer(of: example) else {
      return try encode(
        example, target: codec.encode(try example.target()) + [codec.endToken], reserved: 0, round: round,
        template: index, separator: codec.separator)
    }
    var encoded = try encodeContext(example, reserved: 0, round: round, template: index, separator: "")
    encoded.answer = answer
    return encoded
  }

  /// The tokens of an example's context alone, with room for `reserved` new tokens.
  ///
  /// - Parameters:
  ///   - index: a template by its place from 0; nil for the pool's choice.
  ///   - separator: what ends the input; nil for what stands between an input and its target. A head that reads the
  ///     word at the end of the input has none.
  /// - Throws: `MethodError.tooLong` if it does not fit and nothing more may be cut; `.unknownToken`
  ///   if the model has no embedding for one of its tokens; `.badField` without a field.
  public func encodeContext(
    _ example: Example, reserved: Int, round: Int = 0, template index: Int? = nil, separator: String? = nil
  ) throws -> EncodedExample {
    try encode(
      example, target: [], reserved: reserved, round: round, template: index, separator: separator ?? codec.separator)
  }

  private func encode(
    _ example: Example, target: [Int32], reserved: Int, round: Int, template index: Int?, separator: String
  ) throws -> EncodedExample {
    let text = texts.map { $0.templates[index ?? $0.index(for: example, round: round)] }
    var demonstrations = try template.demonstrations(for: example, round: round).map {
      try demonstration($0, text)
    }
    var input = try self.input(of: example, text, separator)
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
      if let text, let cut = truncation.fieldCut, needed() > available {
        let whole = input.count
        let room = available - (needed() - whole)
        input = try self.input(of: example, text, separator, cutting: cut, room: room) ?? input
        cutInputTokens += whole - input.count
      }
      let excess = needed() - available
      if excess > 0, !truncation.isDisjoint(with: [.inputStart, .inputEnd]), excess < input.count {
        // The last token holds the newline, where that is what separates input and target.
        let last = separator.isEmpty ? input.count : input.count - 1
        let end = truncation.contains(.inputStart) ? excess : last
        input.removeSubrange(end - excess..<end)
        cutInputTokens += excess
      }
      guard needed() <= available else {
        throw MethodError.tooLong(source: example.source, needed: wanted, available: available)
      }
    }
    let before = codec.opening + demonstrations.flatMap { $0 }
    let context = before + input + codec.closing
    for id in context + target where Int(id) >= codec.embeddingCount {
      throw MethodError.unknownToken(source: example.source, id: id, vocabularySize: codec.embeddingCount)
    }
    return EncodedExample(
      source: example.source, context: context, target: target,
      maskPosition: try maskPosition(in: input, of: example, text).map { before.count + $0 },
      closing: codec.closing.count, cutDemonstrations: cutDemonstrations, cutInputTokens: cutInputTokens,
      similarity: demonstrations.isEmpty ? nil : template.similarity(of: example))
  }

  /// The tokens of another example with its target, in the same words as the example itself.
  ///
  /// Where the template has a place for the answer, the target stands there; else it follows on a line of its own.
  private func demonstration(_ example: Example, _ text: TextTemplate?) throws -> [Int32] {
    let target = try example.target()
    if let text, text.hasMask, codec.maskToken != nil {
      return codec.encode(try text.text(of: example, mask: target) + "\n\n")
    }
    return codec.encode(try (text?.text(of: example, mask: nil) ?? example.input) + "\n")
      + codec.encode(target + "\n\n")
  }

  /// The tokens of the input, which are those of its text as a whole.
  private func input(of example: Example, _ text: TextTemplate?, _ separator: String) throws -> [Int32] {
    let words = try text?.text(of: example, mask: codec.maskToken?.content) ?? example.input
    return codec.encode(words + separator)
  }

  /// The tokens of the input with as much of its fields as fits; nil where even empty fields do not.
  private func input(
    of example: Example, _ text: TextTemplate, _ separator: String, cutting cut: FieldCut, room: Int
  ) throws -> [Int32]? {
    func tokens(_ budget: Int) throws -> [Int32] {
      let words = try text.text(of: example, mask: codec.maskToken?.content) { cut.prefixes($0, budget: budget) }
      return codec.encode(words + separator)
    }
    var best: [Int32]?
    var (low, high) = (0, 0)
    _ = try text.text(of: example, mask: nil) {
      high = cut.wholeBudget($0)
      return $0.map { $0[...] }
    }
    // The longest text that fits; a character more seldom makes a text shorter in tokens, so halving finds it.
    while low <= high {
      let middle = (low + high) / 2
      let candidate = try tokens(middle)
      if candidate.count <= room {
        best = candidate
        low = middle + 1
      } else {
        high = middle - 1
      }
    }
    return best
  }

  /// Where the mask token stands in the input.
  ///
  /// - Throws: `MethodError.refused` if a field holds the mask token too.
  private func maskPosition(in input: [Int32], of example: Example, _ text: TextTemplate?) throws -> Int? {
    guard let mask = codec.maskToken, text?.hasMask == true else { return nil }
    let places = input.indices.filter { input[$0] == mask.id }
    guard places.count == 1 else {
      throw MethodError.refused(
        "\(example.source): the text has \(places.count) mask tokens '\(mask.content)'; the template puts in one")
    }
    return places[0]
  }
}
