import Foundation
import Testing

@testable import PromptTuning

/// BM25 against the formula written out in Python (`tools/fixtures/bm25.py`).
@Suite struct BM25Tests {
  private struct Fixture: Decodable {
    struct Word: Decodable {
      var text: String
      var words: [String]

      init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        text = try list.decode(String.self)
        words = try list.decode([String].self)
      }
    }

    struct Case: Decodable {
      struct Query: Decodable {
        var text: String
        var scores: [Double]
      }

      var pool: [String]
      var queries: [Query]
    }

    var words: [Word]
    var cases: [Case]
  }

  private static func fixture() throws -> Fixture {
    let url = try #require(Bundle.module.url(forResource: "bm25", withExtension: "json", subdirectory: "Fixtures"))
    return try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: url))
  }

  @Test func wordsAreThoseOfTheReference() throws {
    for entry in try Self.fixture().words { #expect(WordTokens.of(entry.text) == entry.words, "\(entry.text)") }
  }

  @Test func scoresAndOrderAreThoseOfTheReference() throws {
    for entry in try Self.fixture().cases {
      let retriever = Retriever(entry.pool) { BM25Index($0, rowCounts: $1.map(\.count)) }
      for query in entry.queries {
        let count = entry.pool.count
        let found = try retriever.nearest([RetrievalQuery(text: query.text, place: "q")], count: count)[0]
        #expect(found.count == count)
        // Sums of at most a few dozen positive terms.
        for neighbour in found {
          let expected = query.scores[neighbour.index]
          guard abs(neighbour.score - expected) <= 1e-13 * (1 + expected) else {
            Issue.record("'\(query.text)', row \(neighbour.index): \(neighbour.score), expected \(expected)")
            return
          }
        }
        #expect(Set(found.map(\.index)) == Set(0..<count))
        for (first, second) in zip(found, found.dropFirst()) {
          #expect(first.precedes(second), "'\(query.text)': \(first) before \(second)")
        }
        // Fewer are the first of all.
        for fewer in [1, 2, 3] where fewer <= count {
          let best = try retriever.nearest([RetrievalQuery(text: query.text, place: "q")], count: fewer)[0]
          #expect(best == Array(found.prefix(fewer)))
        }
      }
    }
  }

  @Test func aRowIsNotFoundForItselfButItsCopiesAre() throws {
    let pool = ["a b", "c", "a b", "a b d", "a b"]
    let retriever = Retriever(pool) { BM25Index($0, rowCounts: $1.map(\.count)) }
    let queries = pool.enumerated().map { RetrievalQuery(text: $1, place: "\($0)", excluded: $0) }
    let found = try retriever.nearest(queries, count: 3).map { $0.map(\.index) }
    #expect(found[0] == [2, 4, 3] && found[2] == [0, 4, 3] && found[4] == [0, 2, 3])
    // Nothing else has its word: the lowest rows stand in, with nothing in common.
    #expect(found[1] == [0, 2, 3])
    #expect(try retriever.nearest([queries[1]], count: 2)[0].map(\.score) == [0, 0])
    #expect(try retriever.nearest([queries[1]], count: 9)[0].count == 4)
  }
}
