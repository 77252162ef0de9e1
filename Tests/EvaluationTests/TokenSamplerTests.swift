import Foundation
import Testing

@testable import Evaluation

@Suite struct TokenSamplerTests {
  private static let scores: [Float] = [0.5, -1, 2, 0.5, -3, 1.25, 0, 0.75]

  private static func probabilities(_ temperature: Double = 1) -> [Double] {
    let weights = scores.map { exp(Double($0) / temperature) }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }

  private static func kept(_ options: SamplingOptions) -> [Int32] {
    TokenSampler.distribution(scores[...], options).map(\.token)
  }

  @Test func whatTopKAndTopPKeep() {
    #expect(Self.kept(SamplingOptions()) == [0, 1, 2, 3, 4, 5, 6, 7])
    #expect(Self.kept(SamplingOptions(topK: 3)) == [2, 5, 7])
    #expect(Self.kept(SamplingOptions(topK: 4)) == [2, 5, 7, 0])
    #expect(Self.kept(SamplingOptions(topK: 100)).count == 8)
    let sorted = Self.probabilities().sorted(by: >)
    let two = sorted[0] + sorted[1]
    #expect(Self.kept(SamplingOptions(topP: two - 1e-6)) == [2, 5])
    #expect(Self.kept(SamplingOptions(topP: two + 1e-6)) == [2, 5, 7])
    #expect(Self.kept(SamplingOptions(topP: 1e-9)) == [2])
    #expect(Self.kept(SamplingOptions(topP: 1)).count == 8)
    // The temperature is applied first: a hot distribution needs more tokens for the same share.
    #expect(Self.kept(SamplingOptions(temperature: 5, topP: 0.5)).count > Self.kept(SamplingOptions(topP: 0.5)).count)
    // top-p counts what top-k has left.
    let share = sorted[0] / (sorted[0] + sorted[1])
    #expect(Self.kept(SamplingOptions(topK: 2, topP: share - 1e-6)) == [2])
    #expect(Self.kept(SamplingOptions(topK: 2, topP: share + 1e-6)) == [2, 5])
  }

  /// Pearson's chi-squared against the distribution: with 7 degrees of freedom, 40 is passed by 1 in 10^6 of fair ones.
  @Test(arguments: [0.5, 1, 2]) func drawsFollowTheDistribution(_ temperature: Double) {
    let draws = 20_000
    var sampler = TokenSampler(SamplingOptions(temperature: temperature, seed: 4), input: 3)
    var counts = [Double](repeating: 0, count: Self.scores.count)
    for _ in 0..<draws { counts[Int(sampler.draw(from: Self.scores[...]))] += 1 }
    let statistic = zip(counts, Self.probabilities(temperature)).reduce(0) { sum, pair in
      let expected = pair.1 * Double(draws)
      return sum + (pair.0 - expected) * (pair.0 - expected) / expected
    }
    guard statistic < 40 else {
      Issue.record("chi-squared \(statistic), counts \(counts)")
      return
    }
  }

  @Test func seedAndInputDecide() {
    func draws(seed: UInt64, input: Int) -> [Int32] {
      var sampler = TokenSampler(SamplingOptions(seed: seed), input: input)
      return (0..<20).map { _ in sampler.draw(from: Self.scores[...]) }
    }
    #expect(draws(seed: 1, input: 0) == draws(seed: 1, input: 0))
    #expect(draws(seed: 1, input: 0) != draws(seed: 2, input: 0))
    #expect(draws(seed: 1, input: 0) != draws(seed: 1, input: 1))
  }

  @Test func hugeAndEqualScores() {
    var sampler = TokenSampler(SamplingOptions(temperature: 1e-3), input: 0)
    #expect(sampler.draw(from: [1e30, -1e30, 3]) == 0)
    let tied = TokenSampler.distribution([1, 1, 1, 1], SamplingOptions(topK: 2)).map(\.token)
    #expect(tied == [0, 1])
  }
}
