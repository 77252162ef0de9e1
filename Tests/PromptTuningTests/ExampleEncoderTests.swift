import PromptTuning
import TestSupport
import Testing

@Suite struct ExampleEncoderTests {
  private static func example(_ input: String, _ target: String, line: Int = 1, file: String = "data.jsonl") -> Example
  {
    Example(input: input, targets: [target], source: ExampleSource(file: file, line: line))
  }

  private static func bytes(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }

  private static func encoder(
    _ template: any Template = PlainTemplate(), _ truncation: Truncation = [], positions: Int? = nil, prompt: Int = 0,
    length: Int? = nil, begin: Bool = false
  ) throws -> ExampleEncoder {
    try ExampleEncoder(
      codec: TextCodec(tokenizer: ByteTokenizer(addsBeginToken: begin), facts: TinyModel.facts()), template: template,
      truncation: truncation, maximumPositions: positions, promptLength: prompt,
      maximumLength: length)
  }

  @Test func plainExample() throws {
    let encoded = try Self.encoder().encode(Self.example("ab", "cd"))
    #expect(encoded.context == Self.bytes("ab\n"))
    #expect(encoded.target == Self.bytes("cd") + [256])
    #expect(encoded.tokenCount == 6)
    #expect(encoded.source == ExampleSource(file: "data.jsonl", line: 1))
  }

  @Test func emptyTargetScoresItsEndToken() throws {
    #expect(try Self.encoder().encode(Self.example("", "")).context == Self.bytes("\n"))
    #expect(try Self.encoder().encode(Self.example("", "")).target == [256])
  }

  @Test func aTokenWithoutEmbeddingIsNamedWithItsLine() throws {
    let codec = try TextCodec(tokenizer: ByteTokenizer(endToken: 10), facts: TinyModel.facts(vocabulary: 120))
    let encoder = try ExampleEncoder(
      codec: codec, template: PlainTemplate(), truncation: [], maximumPositions: nil, promptLength: 0)
    #expect(try encoder.encode(Self.example("ab", "w")).target == Self.bytes("w") + [10])
    let error = #expect(throws: MethodError.self) { try encoder.encode(Self.example("ab", "x", line: 7)) }
    let message = "\(try #require(error))"
    #expect(message == "data.jsonl:7: the tokenizer gives id 120, the model has embeddings for 0..<120")
  }

  @Test func openingTokenComesOnceAndFirst() throws {
    let template = try DemonstrationTemplate(
      selection: .fixed, shots: 2,
      pool: [Self.example("p", "q", line: 5), Self.example("r", "s", line: 6), Self.example("t", "u", line: 7)], seed: 0
    )
    let encoded = try Self.encoder(template, begin: true).encode(Self.example("a", "b"))
    #expect(encoded.context == [257] + Self.bytes("p\nq\n\nr\ns\n\na\n"))
    #expect(encoded.target == Self.bytes("b") + [256])
  }

  @Test func anExampleDoesNotDemonstrateItself() throws {
    let pool = (1...4).map { Self.example("i\($0)", "t\($0)", line: $0) }
    let fixed = try DemonstrationTemplate(selection: .fixed, shots: 2, pool: pool, seed: 0)
    let encoded = try Self.encoder(fixed).encode(pool[0])
    #expect(encoded.context == Self.bytes("i2\nt2\n\ni3\nt3\n\ni1\n"))
    // The same line of another file is another example.
    let other = try Self.encoder(fixed).encode(Self.example("x", "y", line: 1, file: "test.jsonl"))
    #expect(other.context == Self.bytes("i1\nt1\n\ni2\nt2\n\nx\n"))
    let random = try DemonstrationTemplate(selection: .random, shots: 3, pool: pool, seed: 3)
    for round in 0..<20 {
      let context = try Self.encoder(random).encode(pool[1], round: round).context
      let text = String(decoding: context.map { UInt8($0) }, as: UTF8.self)
      let inputs = text.split(separator: "\n").filter { $0.hasPrefix("i") }
      #expect(Set(inputs.dropLast()) == ["i1", "i3", "i4"] && inputs.last == "i2", "\(text)")
    }
    let all = try DemonstrationTemplate(selection: .fixed, shots: 4, pool: pool, seed: 0)
    #expect(throws: MethodError.self) { try Self.encoder(all).encode(pool[0]) }
    #expect(throws: MethodError.self) {
      try DemonstrationTemplate(selection: .fixed, shots: 5, pool: pool, seed: 0)
    }
  }

  /// The pool's rows by their words: the example `a b c` is most like row 1, then row 3.
  @Test func retrievedDemonstrationsStandMostSimilarLast() throws {
    let pool = ["x y", "a b c", "z", "c q", "a b c"].enumerated().map {
      Self.example($1, "t\($0)", line: $0 + 1, file: "pool.jsonl")
    }
    let retriever = Retriever(pool.map(\.input)) { BM25Index($0, rowCounts: $1.map(\.count)) }
    let finder = DemonstrationFinder(retriever, pool: pool, shots: 3)
    let template = try DemonstrationTemplate(
      selection: .retrieved, shots: 3, pool: pool, seed: 0, neighbours: finder.table)
    let other = Self.example("a b c", "u", line: 2, file: "test.jsonl")
    let error = #expect(throws: MethodError.self) { try Self.encoder(template).encode(other) }
    #expect(error.map { "\($0)" }?.hasPrefix("test.jsonl:2: ") ?? false)
    try finder.prepare([other, pool[1], pool[2]])
    let encoded = try Self.encoder(template).encode(other)
    #expect(encoded.context == Self.bytes("c q\nt3\n\na b c\nt4\n\na b c\nt1\n\na b c\n"))
    #expect(encoded.similarity == finder.table.neighbours(of: other)?.first?.score)
    // A row of the pool is not shown itself, its copy is; another name of the file changes nothing.
    let copy = "x y\nt0\n\nc q\nt3\n\na b c\nt4\n\na b c\n"
    #expect(try Self.encoder(template).encode(pool[1]).context == Self.bytes(copy))
    let renamed = Self.example("a b c", "t1", line: 2, file: "./pool.jsonl")
    try finder.prepare([renamed])
    #expect(try Self.encoder(template).encode(renamed).context == Self.bytes(copy))
    // The least similar ones are cut first.
    let cut = try Self.encoder(template, .demonstrations, positions: 27).encode(other)
    #expect(cut.context == Self.bytes("a b c\nt1\n\na b c\n") && cut.cutDemonstrations == 2)
    #expect(cut.similarity == encoded.similarity)
    let bare = try Self.encoder(template, .demonstrations, positions: 10).encode(other)
    #expect(bare.context == Self.bytes("a b c\n") && bare.similarity == nil)
  }

  @Test func randomDemonstrationsDependOnSeedRoundAndLineAlone() throws {
    let pool = (1...50).map { Self.example("i\($0)", "t\($0)", line: $0) }
    func context(seed: UInt64, round: Int, line: Int) throws -> [Int32] {
      let template = try DemonstrationTemplate(selection: .random, shots: 2, pool: pool, seed: seed)
      return try Self.encoder(template).encode(Self.example("x", "y", line: line, file: "test"), round: round).context
    }
    let first = try context(seed: 1, round: 0, line: 9)
    #expect(try context(seed: 1, round: 0, line: 9) == first)
    #expect(try context(seed: 2, round: 0, line: 9) != first)
    #expect(try context(seed: 1, round: 1, line: 9) != first)
    #expect(try context(seed: 1, round: 0, line: 10) != first)
  }

  /// Positions: 10; the prompt takes 2; `abcdef\n` and `xy` with the end token need 10.
  @Test func tooLongNamesFileLineAndSizes() throws {
    let long = Self.example("abcdef", "xy", line: 12)
    let error = #expect(throws: MethodError.self) { try Self.encoder(positions: 10, prompt: 2).encode(long) }
    let message = error.map { "\($0)" } ?? ""
    #expect(message.hasPrefix("data.jsonl:12: "), "\(message)")
    #expect(message.contains("needs 10 positions, there are 8"), "\(message)")
    #expect(try Self.encoder(positions: 12, prompt: 2).encode(long).tokenCount == 10)
    #expect(throws: MethodError.self) { try Self.encoder(positions: 11, prompt: 2).encode(long) }
    #expect(throws: MethodError.self) { try Self.encoder(positions: 10, prompt: 9) }
  }

  /// A limit of one's own counts what the model reads of the example, not the prompt.
  @Test func aChosenLengthLimitsExamples() throws {
    let long = Self.example("abcdef", "xy", line: 12)
    #expect(try Self.encoder(positions: 40, prompt: 20, length: 10).encode(long).tokenCount == 10)
    let error = #expect(throws: MethodError.self) {
      try Self.encoder(positions: 40, prompt: 20, length: 9).encode(long)
    }
    #expect(error.map { "\($0)" }?.contains("data.jsonl:12: the example needs 10 positions, there are 9") == true)
    let cut = try Self.encoder(PlainTemplate(), .inputStart, positions: 40, prompt: 20, length: 8).encode(long)
    #expect(cut.context == Self.bytes("cdef\n") && cut.cutInputTokens == 2)
    #expect(throws: MethodError.self) { try Self.encoder(positions: 40, prompt: 20, length: 21) }
    #expect(throws: MethodError.self) { try Self.encoder(length: 1) }
  }

  @Test func inputIsCutAtEitherEnd() throws {
    let long = Self.example("abcdef", "xy")
    let start = try Self.encoder(PlainTemplate(), .inputStart, positions: 10, prompt: 2).encode(long)
    #expect(start.context == Self.bytes("cdef\n") && start.target == Self.bytes("xy") + [256])
    #expect(start.cutInputTokens == 2 && start.cutDemonstrations == 0)
    let end = try Self.encoder(PlainTemplate(), .inputEnd, positions: 10, prompt: 2).encode(long)
    #expect(end.context == Self.bytes("abcd\n") && end.cutInputTokens == 2)
    // Everything but the newline may go; the target never.
    let least = try Self.encoder(PlainTemplate(), .inputEnd, positions: 6, prompt: 2).encode(long)
    #expect(least.context == Self.bytes("\n") && least.cutInputTokens == 6)
    #expect(throws: MethodError.self) {
      try Self.encoder(PlainTemplate(), .inputEnd, positions: 5, prompt: 2).encode(long)
    }
    #expect(throws: MethodError.self) { try Self.encoder(PlainTemplate(), [.inputEnd, .inputStart]) }
  }

  @Test func demonstrationsGoFirstAndWhole() throws {
    let pool = [Self.example("p", "q", line: 5), Self.example("r", "s", line: 6)]  // five tokens each
    let template = try DemonstrationTemplate(selection: .fixed, shots: 2, pool: pool, seed: 0)
    let example = Self.example("abc", "x")  // six tokens
    let one = try Self.encoder(template, [.demonstrations, .inputEnd], positions: 15).encode(example)
    #expect(one.context == Self.bytes("r\ns\n\nabc\n") && one.cutDemonstrations == 1 && one.cutInputTokens == 0)
    let both = try Self.encoder(template, [.demonstrations, .inputEnd], positions: 5).encode(example)
    #expect(both.context == Self.bytes("ab\n") && both.cutDemonstrations == 2 && both.cutInputTokens == 1)
    #expect(throws: MethodError.self) { try Self.encoder(template, .demonstrations, positions: 5).encode(example) }
    let untouched = try Self.encoder(template, .demonstrations, positions: 16).encode(example)
    #expect(untouched.cutDemonstrations == 0 && untouched.tokenCount == 16)
  }

  @Test func contextsReserveRoomForNewTokens() throws {
    let example = Self.example("abc", "a target that does not count")
    let encoder = try Self.encoder(positions: 10, prompt: 2)
    #expect(try encoder.encodeContext(example, reserved: 4).context == Self.bytes("abc\n"))
    #expect(try encoder.encodeContext(example, reserved: 4).target == [])
    #expect(throws: MethodError.self) { try encoder.encodeContext(example, reserved: 5) }
  }

  @Test func codecs() throws {
    let codec = try TextCodec(
      tokenizer: ByteTokenizer(addsBeginToken: true), facts: TinyModel.facts(), generationEndTokens: [10])
    #expect(codec.opening == [257])
    #expect(codec.endToken == 256)
    #expect(codec.stopTokens == [256, 10])
    #expect(codec.encode("é") == [0xC3, 0xA9])
    #expect(codec.decode([257, 0xC3, 0xA9, 256]) == "é")
    #expect(throws: MethodError.self) {
      try TextCodec(tokenizer: ByteTokenizer(), facts: TinyModel.facts(vocabulary: 200))
    }
  }
}
