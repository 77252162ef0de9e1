import Compute
import Foundation

/// Draws tokens from scores.
///
/// The numbers depend on the seed and the input's place alone, not on its batch.
struct TokenSampler {
  private let options: SamplingOptions
  private var generator: Philox

  /// - Parameter input: the place of the input, counted over the whole run.
  init(_ options: SamplingOptions, input: Int) {
    self.options = options
    generator = Philox(seed: options.seed, stream: 0x7361_6D70_0000_0000 + UInt64(input))
  }

  /// The next token for finite scores of the whole vocabulary.
  mutating func draw(from scores: ArraySlice<Float>) -> Int32 {
    let kept = Self.distribution(scores, options)
    let total = kept.reduce(0) { $0 + $1.weight }
    let target = Double(generator.nextUniform()) * total
    var sum = 0.0
    for candidate in kept {
      sum += candidate.weight
      if target < sum { return candidate.token }
    }
    return kept[kept.count - 1].token
  }

  /// What is left of the distribution after temperature, top-k and top-p, in this order; the weights do not add up to 1.
  ///
  /// Of equal scores the lower token goes first.
  static func distribution(_ scores: ArraySlice<Float>, _ options: SamplingOptions) -> [(token: Int32, weight: Double)]
  {
    let largest = Double(scores.max() ?? 0)
    var candidates = scores.enumerated().map { place, score in
      (token: Int32(place), weight: exp((Double(score) - largest) / options.temperature))
    }
    guard options.topK != nil || options.topP != nil else { return candidates }
    // Weights that vanish still have an order among the scores, but no chance of being drawn.
    candidates.sort { $0.weight != $1.weight ? $0.weight > $1.weight : $0.token < $1.token }
    if let topK = options.topK { candidates = Array(candidates.prefix(topK)) }
    if let topP = options.topP {
      let enough = topP * candidates.reduce(0) { $0 + $1.weight }
      var sum = 0.0
      let end = candidates.firstIndex { candidate in
        sum += candidate.weight
        return sum >= enough
      }
      if let end { candidates = Array(candidates.prefix(end + 1)) }
    }
    return candidates
  }
}
