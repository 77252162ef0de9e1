import Foundation
import Testing

@testable import Evaluation

@Suite struct BeamSearchTests {
  /// Log-probabilities of the next of four tokens (3 ends) after a sequence, the same in every run.
  private static func row(_ tokens: [Int32]) -> [Float] {
    var state = UInt64(17)
    for token in tokens { state = (state &* 6_364_136_223_846_793_005) &+ UInt64(token) &+ 1_442_695 }
    return (0..<4).map { _ in
      state = (state &* 6_364_136_223_846_793_005) &+ 1_442_695_040_888_963_407
      return Float(state >> 40) * 0x1p-22
    }
  }

  private static func logProbabilities(_ tokens: [Int32]) -> [Double] {
    let row = Self.row(tokens).map(Double.init)
    let sum = row.reduce(0) { $0 + exp($1) }
    return row.map { $0 - log(sum) }
  }

  private static func search(beams: Int, penalty: Double, limit: Int) -> BeamSearch {
    var search = BeamSearch(beams: beams, lengthPenalty: penalty, stopTokens: [3], limit: limit)
    while search.advance(search.running.map { row($0.tokens)[...] }) != nil {}
    return search
  }

  /// With as many beams as there are sequences nothing is lost: the result is the best of all that end.
  @Test func manyBeamsFindTheBestSequence() throws {
    for penalty in [0.0, 1.0, 2.0] {
      var all: [(tokens: [Int32], score: Double)] = []
      func extend(_ tokens: [Int32], _ sum: Double) {
        for (token, value) in Self.logProbabilities(tokens).enumerated() {
          let length = Double(tokens.count + 1)
          if token == 3 || tokens.count == 3 {
            all.append((token == 3 ? tokens : tokens + [Int32(token)], (sum + value) / pow(length, penalty)))
          } else {
            extend(tokens + [Int32(token)], sum + value)
          }
        }
      }
      extend([], 0)
      let best = try #require(all.max { $0.score < $1.score })
      let found = try #require(Self.search(beams: 200, penalty: penalty, limit: 4).finished.first)
      #expect(found.tokens == best.tokens, "penalty \(penalty)")
      #expect(abs(found.score - best.score) < 1e-6)
    }
  }

  @Test func oneBeamIsGreedy() {
    var tokens: [Int32] = []
    while tokens.count < 12 {
      let row = Self.row(tokens)
      let best = Int32(row.indices.max { row[$0] < row[$1] } ?? 0)
      if best == 3 { break }
      tokens.append(best)
    }
    #expect(Self.search(beams: 1, penalty: 1, limit: 12).finished.first?.tokens == tokens)
  }

  @Test func parentsSayWhatIsContinued() throws {
    var search = BeamSearch(beams: 3, lengthPenalty: 1, stopTokens: [3], limit: 6)
    while true {
      let before = search.running
      guard let parents = search.advance(before.map { Self.row($0.tokens)[...] }) else { break }
      #expect(parents.count == search.running.count && !parents.isEmpty)
      for (running, parent) in zip(search.running, parents) {
        #expect(Array(running.tokens.dropLast()) == before[parent].tokens)
        #expect(running.tokens.last != 3)
      }
      #expect(search.running.map(\.score) == search.running.map(\.score).sorted(by: >))
    }
    #expect(search.finished.count <= 3)
  }

  @Test func rowsAreHandedOutAndJoinedAgain() {
    var rows = CacheRows(10..<20)
    let first = rows.take(4)
    let second = rows.take(3)
    #expect(first == 10..<14 && second == 14..<17)
    #expect(rows.take(4) == nil)
    let third = rows.take(3)
    #expect(third == 17..<20 && rows.take(1) == nil)
    rows.give(10..<14)
    rows.give(17..<20)
    #expect(rows.take(5) == nil)
    rows.give(14..<17)
    #expect(rows.take(10) == 10..<20)
    var empty = CacheRows(5..<5)
    #expect(empty.take(1) == nil)
  }
}
