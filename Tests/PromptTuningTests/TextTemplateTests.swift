import PromptTuning
import TestSupport
import Testing
import Tokenizers

@Suite struct TextTemplateTests {
  static func row(_ fields: [String: String], line: Int = 1, label: String? = nil, target: String? = nil) -> Example {
    Example(
      input: "", targets: target.map { [$0] } ?? [], source: ExampleSource(file: "rows.jsonl", line: line),
      fields: ExampleFields(fields, others: ["list": "an array"]),
      label: label.map { ExampleLabel($0, kind: .string) })
  }

  private static func bytes(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }

  /// A byte tokenizer of an encoder: `<c>` (300) and `<s>` (301) around a text, `<m>` (302) for the mask.
  struct ClozeTokenizer: Tokenizer {
    let specialTokens: SpecialTokens

    init() {
      var special = SpecialTokens()
      special.mask = SpecialToken(content: "<m>", id: 302)
      specialTokens = special
    }

    var vocabularySize: Int { 303 }
    var affixes: (prefix: [Int32], suffix: [Int32]) { ([300], [301]) }

    func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
      var ids: [Int32] = []
      var rest = Array(text.utf8)[...]
      while let byte = rest.first {
        if rest.starts(with: "<m>".utf8) {
          ids.append(302)
          rest = rest.dropFirst(3)
        } else {
          ids.append(Int32(byte))
          rest = rest.dropFirst()
        }
      }
      return addSpecialTokens ? [300] + ids + [301] : ids
    }

    func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
      String(decoding: ids.compactMap { UInt8(exactly: $0) }, as: UTF8.self)
    }

    func token(for id: Int32) -> String? { nil }
    func id(for token: String) -> Int32? { nil }
  }

  private static func encoder(
    _ templates: [String], _ truncation: Truncation = [], positions: Int? = nil, cloze: Bool = false,
    choice: TemplatePool.Choice = .sampled, template: any Template = PlainTemplate()
  ) throws -> ExampleEncoder {
    var facts = TinyModel.facts(vocabulary: 320)
    if cloze { facts.kind = .encoder }
    let tokenizer: any Tokenizer = cloze ? ClozeTokenizer() : ByteTokenizer()
    return try ExampleEncoder(
      codec: TextCodec(tokenizer: tokenizer, facts: facts), template: template,
      texts: TemplatePool(try templates.map { try TextTemplate($0) }, choice: choice, seed: 4), truncation: truncation,
      maximumPositions: positions, promptLength: 0)
  }

  @Test func fieldsMaskAndBraces() throws {
    let template = try TextTemplate("{{a}} {b!}: {c} {mask} ")
    let row = Self.row(["b": "{mask}", "c": "x"])
    #expect(try template.text(of: row, mask: "M") == "{a} {mask}: x M ")
    #expect(try template.text(of: row, mask: nil) == "{a} {mask}: x")
    #expect(template.hasMask && template.endsInMask && template.fields == ["b", "c"])
    #expect(try !TextTemplate("{mask} {b}").endsInMask)
  }

  @Test(arguments: [
    ("{a", "'{'"), ("a}", "'}'"), ("{}", "no field"), ("{!}", "no field"), ("{a} {mask} {mask}", "2 masks"),
    ("plain", "no {field}"), ("{mask}", "no {field}"), ("{a{b}}", "inside"),
  ])
  func brokenTemplates(_ source: String, _ culprit: String) {
    let error = #expect(throws: MethodError.self) { try TextTemplate(source, place: "pool.txt:3") }
    #expect("\(error.map { "\($0)" } ?? "")".hasPrefix("pool.txt:3: "))
    #expect("\(error.map { "\($0)" } ?? "")".contains(culprit), "\(String(describing: error))")
  }

  @Test func aFieldThatIsNotThereIsNamedWithItsLine() throws {
    let template = try TextTemplate("{a} {list}")
    let missing = #expect(throws: MethodError.self) { try template.text(of: Self.row(["b": "x"], line: 7), mask: nil) }
    #expect("\(missing.map { "\($0)" } ?? "")".hasPrefix("rows.jsonl:7: field 'a' is missing"))
    let list = #expect(throws: MethodError.self) { try template.text(of: Self.row(["a": "x"], line: 8), mask: nil) }
    #expect("\(list.map { "\($0)" } ?? "")".hasPrefix("rows.jsonl:8: field 'list' is an array"))
  }

  @Test func aLeftToRightModelReadsUpToTheMask() throws {
    let encoded = try Self.encoder(["{a} is {mask}"]).encode(Self.row(["a": "xy"], target: "no"))
    #expect(encoded.context == Self.bytes("xy is\n") && encoded.target == Self.bytes("no") + [256])
    #expect(encoded.maskPosition == nil)
    let bare = try Self.encoder(["{a} is {mask}"]).encodeContext(Self.row(["a": "xy"]), reserved: 1, separator: "")
    #expect(bare.context == Self.bytes("xy is"))
    #expect(throws: MethodError.self) { try Self.encoder(["{a} {mask} end"]) }
  }

  @Test func anEncoderReadsTheMaskBetweenItsOwnTokens() throws {
    let encoder = try Self.encoder(["{a} {mask}."], cloze: true)
    let encoded = try encoder.encodeContext(Self.row(["a": "xy"]), reserved: 0)
    #expect(encoded.context == [300] + Self.bytes("xy ") + [302] + Self.bytes(".") + [301])
    #expect(encoded.maskPosition == 4)
    #expect(throws: MethodError.self) { try encoder.encodeContext(Self.row(["a": "x<m>"]), reserved: 0) }
    #expect(throws: MethodError.self) { try Self.encoder(["{a} {mask}"], .inputEnd, cloze: true) }
  }

  @Test func aHeadThatReadsTheMaskNeedsOneInEveryTemplate() throws {
    try Self.encoder(["{a} {mask}", "{mask} {a}"], cloze: true).check(has: .mask)
    let error = #expect(throws: MethodError.self) {
      try Self.encoder(["{a} {mask}", "so {a}"], cloze: true).check(has: .mask)
    }
    #expect("\(error.map { "\($0)" } ?? "")".contains("'so {a}'"))
  }

  @Test func fieldsAreCutAndTheRestStays() throws {
    let row = Self.row(["q": "question?", "a": "abcdefgh", "b": "1234"], target: "no")
    // "question? abcdefgh 1234" and a newline are 24 tokens, the target 3.
    let last = try Self.encoder(["{q!} {a} {b}"], .lastFields, positions: 22).encode(row)
    #expect(last.context == Self.bytes("question? abcdefg \n") && last.cutInputTokens == 5)
    let longest = try Self.encoder(["{q!} {a} {b}"], .longestFields, positions: 22).encode(row)
    #expect(
      longest.context == Self.bytes("question? abc 123\n") || longest.context == Self.bytes("question? abcd 123\n"))
    #expect(longest.context.count + 3 <= 22 && longest.cutInputTokens == 24 - longest.context.count)
    let whole = try Self.encoder(["{q!} {a} {b}"], .lastFields, positions: 27).encode(row)
    #expect(whole.cutInputTokens == 0)
    #expect(throws: MethodError.self) { try Self.encoder(["{q!} {a} {b}"], .lastFields, positions: 14).encode(row) }
    #expect(throws: MethodError.self) { try Self.encoder(["{q!}"], .lastFields) }
    #expect(throws: MethodError.self) { try Self.encoder(["{q}"], [.lastFields, .longestFields]) }
  }

  @Test func theMaskSurvivesACut() throws {
    let encoder = try Self.encoder(["{a} {mask}."], .lastFields, positions: 9, cloze: true)
    let encoded = try encoder.encodeContext(Self.row(["a": "abcdefghijk"]), reserved: 0)
    #expect(encoded.context == [300] + Self.bytes("abcd ") + [302] + Self.bytes(".") + [301])
    #expect(encoded.maskPosition == 6)
  }

  @Test func demonstrationsHaveTheWordsOfTheExample() throws {
    let pool = [Self.row(["a": "one"], line: 1, target: "yes"), Self.row(["a": "two"], line: 2, target: "no")]
    let shots = try DemonstrationTemplate(selection: .fixed, shots: 1, pool: pool, seed: 0)
    let plain = try Self.encoder(["1 {a} {mask}", "2 {a} {mask}"], template: shots)
    for template in 0..<2 {
      let encoded = try plain.encode(pool[0], template: template)
      #expect(encoded.context == Self.bytes("\(template + 1) two\nno\n\n\(template + 1) one\n"))
    }
    let cloze = try Self.encoder(["{a} {mask}."], cloze: true, template: shots)
    let encoded = try cloze.encodeContext(pool[0], reserved: 0)
    #expect(encoded.context == [300] + Self.bytes("two no.\n\none ") + [302] + Self.bytes(".") + [301])
    #expect(encoded.maskPosition == 14)
  }

  // MARK: - Pools

  @Test func aPoolIsSampledUniformlyByRowAndRoundAlone() throws {
    let encoder = try Self.encoder(["1 {a}", "2 {a}", "3 {a}"])
    #expect(encoder.templateCount == 3 && encoder.varies)
    var counts = [0, 0, 0]
    var changes = 0
    for line in 1...300 {
      let row = Self.row(["a": "x"], line: line, target: "t")
      let choices = try (0..<10).map { round in
        Int(try encoder.encode(row, round: round).context[0]) - Int(UInt8(ascii: "1"))
      }
      for choice in choices { counts[choice] += 1 }
      changes += choices[0] == choices[1] ? 0 : 1
      #expect(try encoder.texts?.index(for: row, round: 3) == choices[3])
    }
    // 3,000 draws: a standard deviation is 25.8; six of them are 155.
    #expect(counts.allSatisfy { abs($0 - 1000) < 155 }, "\(counts)")
    // Two rounds differ for two of three rows: 200 of 300, standard deviation 8.2.
    #expect(abs(changes - 200) < 50, "\(changes)")
  }

  @Test func oneTemplateOfAPool() throws {
    let encoder = try Self.encoder(["1 {a}", "2 {a}"])
    let row = Self.row(["a": "x"], target: "t")
    for place in 0..<2 {
      let fixed = try encoder.choosing(.fixed(place))
      #expect(!fixed.varies)
      #expect(try fixed.encode(row, round: 5).context == encoder.encode(row, template: place).context)
    }
    #expect(throws: MethodError.self) { try encoder.choosing(.fixed(2)) }
    #expect(try InferenceTemplate(argument: "2").places(of: 2) == [1])
    #expect(try InferenceTemplate(argument: "average").places(of: 3) == [0, 1, 2])
    #expect(throws: MethodError.self) { try InferenceTemplate(argument: "0") }
    #expect(throws: MethodError.self) { try InferenceTemplate(argument: "3").places(of: 2) }
  }
}
