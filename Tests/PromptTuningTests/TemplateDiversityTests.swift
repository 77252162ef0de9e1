import TestSupport
import Testing

@testable import PromptTuning

@Suite struct TemplateDiversityTests {
  /// All edits of length up to the distance, found by trying: an independent definition.
  private static func slowLevenshtein(_ first: ArraySlice<Substring>, _ second: ArraySlice<Substring>) -> Int {
    guard let one = first.first else { return second.count }
    guard let other = second.first else { return first.count }
    let (rest, otherRest) = (first.dropFirst(), second.dropFirst())
    if one == other { return slowLevenshtein(rest, otherRest) }
    return 1
      + min(slowLevenshtein(rest, second), slowLevenshtein(first, otherRest), slowLevenshtein(rest, otherRest))
  }

  @Test func distances() {
    let texts = ["a b c d", "b c d", "a x c", "d c b a", "a", "", "a b c d a b"].map { $0.split(separator: " ") }
    for first in texts {
      for second in texts {
        let expected = Self.slowLevenshtein(first[...], second[...])
        #expect(TemplateDiversity.levenshtein(first, second) == expected, "\(first) \(second)")
      }
    }
    #expect(TemplateDiversity.hamming(texts[0], texts[1]) == 4)
    #expect(TemplateDiversity.hamming(texts[0], texts[2]) == 2)
  }

  @Test func weightsAndLengths() throws {
    let one = try TextTemplate("{a} is {mask} now")
    let other = try TextTemplate("is {a} {mask}")
    // By places: 3 of 4 differ; by edits: 'is' in front, 'is' behind {a} and 'now' away, 3 of 4.
    #expect(try TemplateDiversity(hammingWeight: 1).dissimilarity(one, other) == 0.75)
    #expect(try TemplateDiversity(hammingWeight: 0).dissimilarity(one, other) == 0.75)
    let shifted = try TextTemplate("so {a} is {mask} now")
    #expect(try TemplateDiversity(hammingWeight: 1).dissimilarity(one, shifted) == 1)
    #expect(try TemplateDiversity(hammingWeight: 0).dissimilarity(one, shifted) == 0.2)
    #expect(abs(try TemplateDiversity(hammingWeight: 0.5).dissimilarity(one, shifted) - 0.6) < 1e-15)
    #expect(try TemplateDiversity().dissimilarity(one, one) == 0)
    #expect(throws: MethodError.self) { try TemplateDiversity(hammingWeight: 1.5) }
  }

  @Test func unlikeTemplatesAreChosen() throws {
    let sources = ["{a} is {mask}", "{a} is {mask} .", "in short : {mask} {a}", "{a} was {mask}", "{mask} , {a} !"]
    let templates = try sources.map { try TextTemplate($0) }
    let diversity = try TemplateDiversity()
    for count in 1...5 {
      let chosen = try diversity.choose(count, of: templates)
      #expect(chosen.count == count && chosen.first == 0 && Set(chosen).count == count && chosen == chosen.sorted())
    }
    // The last one joins only when all are taken: it is the nearest to the first.
    let two = try diversity.choose(2, of: templates)[1]
    let distances = templates.map { diversity.dissimilarity(templates[0], $0) }
    #expect(distances[two] == distances.max())
    #expect(throws: MethodError.self) { try diversity.choose(6, of: templates) }
  }
}
