extension ExampleEncoder {
  /// The tokens of a row of words, with the place of each word's first token and what a head is to answer there.
  ///
  /// Each word is put into tokens for itself, as transformers does with `is_split_into_words`.
  ///
  /// - Throws: `MethodError.tooLong` if it does not fit and nothing more may be cut; `.unknownToken`; `.badField`
  ///   without words or labels, or for a word without a token.
  func encodeWords(_ example: Example) throws -> EncodedExample {
    func broken(_ reason: String) -> MethodError { .badField(source: example.source, key: "tokens", reason: reason) }
    guard let words = example.words?.words else { throw broken("is missing") }
    guard case .labels(var labels)? = try answers.answer(of: example) else {
      preconditionFailure("words have labels")
    }
    var tokens: [Int32] = []
    var starts: [Int] = []
    for (number, word) in zip(words, codec.tokenizer.encode(words: words)).enumerated() {
      guard !word.1.isEmpty else { throw broken("holds '\(word.0)' (item \(number + 1)), for which there is no token") }
      starts.append(tokens.count)
      tokens += word.1
    }
    let around = codec.opening.count + codec.closing.count
    let needed = around + tokens.count
    var cut = 0
    if let available = availablePositions, needed > available {
      cut = needed - available
      let kept = truncation.contains(.inputStart) ? cut..<tokens.count : 0..<max(0, tokens.count - cut)
      let stays = starts.map(kept.contains)
      guard cut < tokens.count, !truncation.isDisjoint(with: [.inputStart, .inputEnd]), stays.contains(true) else {
        throw MethodError.tooLong(source: example.source, needed: needed, available: available)
      }
      tokens = Array(tokens[kept])
      labels = zip(labels, stays).filter(\.1).map(\.0)
      starts = starts.filter(kept.contains).map { $0 - kept.lowerBound }
    }
    let context = codec.opening + tokens + codec.closing
    for id in context where Int(id) >= codec.embeddingCount {
      throw MethodError.unknownToken(source: example.source, id: id, vocabularySize: codec.embeddingCount)
    }
    return EncodedExample(
      source: example.source, context: context, target: [], wordPlaces: starts.map { codec.opening.count + $0 },
      closing: codec.closing.count, answer: .labels(labels), cutInputTokens: cut)
  }
}
