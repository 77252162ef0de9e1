import PromptTuning
import TestSupport
import Testing

/// Rows of words in tokens: where each word starts, and what is cut.
@Suite struct WordEncoderTests {
  private static func encoder(
    _ truncation: Truncation = [], positions: Int? = nil, template: any Template = PlainTemplate(),
    texts: TemplatePool? = nil
  ) throws -> ExampleEncoder {
    var encoder = try ExampleEncoder(
      codec: TextCodec(tokenizer: ByteTokenizer(addsBeginToken: true), facts: TinyModel.facts()), template: template,
      texts: texts, truncation: truncation, maximumPositions: positions, promptLength: 2)
    encoder.answers = .wordLabels(TaskFormat(rows: .words, labels: ["O", "A", "B"]))
    return encoder
  }

  private static func row(_ words: [String], _ labels: [String]?) -> Example {
    Example(
      input: words.joined(separator: " "), targets: [], source: ExampleSource(file: "f", line: 3),
      words: LabeledWords(words, labels: labels?.map { ExampleLabel($0, kind: .string) }))
  }

  private static let row = row(["ab", "c", "def"], ["A", "O", "B"])

  private static func bytes(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }

  @Test func everyWordHasItsFirstToken() throws {
    let encoded = try Self.encoder().encode(Self.row)
    #expect(encoded.context == [257] + Self.bytes("abcdef") && encoded.target.isEmpty)
    #expect(encoded.wordPlaces == [1, 3, 4] && encoded.answer == .labels([1, 0, 2]))
    #expect(encoded.answer?.parts == [.label(1), .label(0), .label(2)])
  }

  @Test func aLongRowIsRefusedOrCut() throws {
    // Two positions are the prompt's and one the beginning's.
    let fits = try Self.encoder(positions: 9).encode(Self.row)
    #expect(fits.cutInputTokens == 0 && fits.wordPlaces.count == 3)
    let error = #expect(throws: MethodError.self) { try Self.encoder(positions: 8).encode(Self.row) }
    #expect("\(try #require(error))".hasPrefix("f:3: the example needs 7 positions, there are 6"))
    let end = try Self.encoder(.inputEnd, positions: 7).encode(Self.row)
    #expect(end.context == [257] + Self.bytes("abcd") && end.cutInputTokens == 2)
    #expect(end.wordPlaces == [1, 3, 4] && end.answer == .labels([1, 0, 2]))
    let shorter = try Self.encoder(.inputEnd, positions: 6).encode(Self.row)
    #expect(shorter.wordPlaces == [1, 3] && shorter.answer == .labels([1, 0]))
    // The rest of a word whose first token is gone is read, but has no label.
    let start = try Self.encoder(.inputStart, positions: 8).encode(Self.row)
    #expect(start.context == [257] + Self.bytes("bcdef"))
    #expect(start.wordPlaces == [2, 3] && start.answer == .labels([0, 2]))
    #expect(throws: MethodError.self) { try Self.encoder(.inputStart, positions: 5).encode(Self.row) }
  }

  @Test func badRowsAreNamed() throws {
    func refused(_ example: Example, _ reason: String) {
      let error = #expect(throws: MethodError.self) { try Self.encoder().encode(example) }
      #expect("\(error.map { "\($0)" } ?? "")".hasPrefix("f:3: field \(reason)"))
    }
    refused(Self.row(["a"], nil), "'labels' is missing")
    refused(Self.row(["a"], ["C"]), "'labels' holds 'C', the labels are O, A, B")
    refused(Self.row(["a", ""], ["A", "O"]), "'tokens' holds '' (item 2), for which there is no token")
    refused(
      Example(input: "a", targets: [], source: ExampleSource(file: "f", line: 3)), "'tokens' is missing")
  }

  @Test func nothingStandsAroundWords() throws {
    let pool = [Example(input: "a", targets: ["b"], source: ExampleSource(file: "g", line: 1))]
    let shown = try DemonstrationTemplate(selection: .fixed, shots: 1, pool: pool, seed: 0)
    try Self.encoder().check(has: .words)
    #expect(throws: MethodError.self) { try Self.encoder(template: shown).check(has: .words) }
    let texts = try TemplatePool([try TextTemplate("{input}")])
    #expect(throws: MethodError.self) { try Self.encoder(texts: texts).check(has: .words) }
    var format = TaskFormat(templates: ["{input}"])
    #expect(throws: MethodError.self) { try format.readWords() }
  }
}
