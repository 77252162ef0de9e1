import Foundation
import Testing

@testable import Tokenizers

/// Texts are split at patterns where the reference implementation splits them.
@Suite struct PatternTests {
  private struct Fixture: Decodable {
    struct Case: Decodable {
      let pattern: String
      let behavior: String
      let invert: Bool
      /// For each text the first scalar of each piece, and the one after its last.
      let pieces: [[[Int]]]
    }
    let texts: [String]
    let cases: [Case]
  }

  @Test func splitsAlike() throws {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/patterns", withExtension: "json"))
    let fixture = try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
    try #require(fixture.cases.count == 35)
    for sample in fixture.cases {
      let behavior = try #require(SplitBehavior(rawValue: sample.behavior))
      let step = PreTokenizer.split(try TextPattern(regex: sample.pattern), behavior, inverted: sample.invert)
      for (text, expected) in zip(fixture.texts, sample.pieces) {
        #expect(pieces(of: text, step) == expected, "\(sample.pattern) \(sample.behavior) \(text)")
      }
    }
  }

  private func pieces(of text: String, _ step: PreTokenizer) -> [[Int]] {
    let bytes = Array(text.utf8)
    var result: [[Int]] = []
    func scalars(_ end: Int) -> Int { bytes[..<end].count { $0 & 0xC0 != 0x80 } }
    bytes.withUnsafeBufferPointer { buffer in
      PreTokenization([step], leavesBytes: true).forPieces(of: buffer, 0..<buffer.count, isStart: true) { _, pieces in
        result = pieces.map { [scalars($0.lowerBound), scalars($0.upperBound)] }
      }
    }
    return result
  }

  @Test(arguments: [
    "(", "a)", "[a", "*a", "a{3}?", "(?<!a+)b", #"\b"#, #"(a)\1"#, #"\p{Klingon}"#, "(?x)a", "(?:a*)*", "(?i)ss",
    #"(?i)\p{Lu}"#, "(?i)ß", "[]a]", "a{2000}", #"\R"#, "[z-a]",
  ])
  func refuses(_ pattern: String) {
    #expect(throws: RegexSyntaxError.self) { try RegexProgram(pattern) }
  }
}
