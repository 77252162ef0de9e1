import Foundation

/// The bookkeeping of beam search for one input, apart from any model.
///
/// It follows what transformers' `generate` does with `early_stopping=False`: of the best `beams * (1 + end tokens)`
/// continuations, finished ones count only if they are among the first `beams`; the search ends when all beams have a
/// finished sequence and the best running one, measured at its present length, is not better than the worst of them.
struct BeamSearch {
  /// A sequence that goes on.
  struct Running: Hashable {
    var tokens: [Int32]
    /// The sum of its tokens' log-probabilities.
    var score: Double
  }

  /// A sequence that has ended.
  struct Finished: Hashable {
    var tokens: [Int32]
    var endsInStopToken: Bool
    /// The sum of log-probabilities over `length^lengthPenalty`, the end token counted.
    var score: Double
  }

  private struct Candidate {
    var parent: Int
    var token: Int32
    var score: Double
  }

  let beams: Int
  let lengthPenalty: Double
  let stopTokens: Set<Int32>
  /// New tokens at most.
  let limit: Int
  /// Best first; one empty sequence at the beginning.
  private(set) var running = [Running(tokens: [], score: 0)]
  /// Best first, at most `beams`.
  private(set) var finished: [Finished] = []
  /// New tokens so far.
  private(set) var length = 0

  init(beams: Int, lengthPenalty: Double, stopTokens: Set<Int32>, limit: Int) {
    self.beams = beams
    self.lengthPenalty = lengthPenalty
    self.stopTokens = stopTokens
    self.limit = limit
  }

  /// Takes the scores of the next token after each running sequence.
  ///
  /// - Parameter scores: one row of the vocabulary for each of `running`, in its order.
  /// - Returns: for each of the new `running`, which of the old ones it continues; nil if the search has ended.
  mutating func advance(_ scores: [ArraySlice<Float>]) -> [Int]? {
    precondition(scores.count == running.count, "one row of scores for each running sequence")
    let candidates = best(beams * (1 + stopTokens.count), of: scores)
    length += 1
    let scale = pow(Double(length), lengthPenalty)
    var parents: [Int] = []
    var next: [Running] = []
    for (rank, candidate) in candidates.enumerated() {
      let isStop = stopTokens.contains(candidate.token)
      let before = running[candidate.parent].tokens
      if isStop || length == limit {
        guard rank < beams else { continue }
        finish(
          Finished(
            tokens: isStop ? before : before + [candidate.token], endsInStopToken: isStop,
            score: candidate.score / scale))
      } else if next.count < beams {
        next.append(Running(tokens: before + [candidate.token], score: candidate.score))
        parents.append(candidate.parent)
      }
    }
    running = next
    guard let leader = running.first else { return nil }
    if finished.count == beams, let worst = finished.last, leader.score / scale <= worst.score { return nil }
    return parents
  }

  private mutating func finish(_ sequence: Finished) {
    // Of equal scores the earlier one stays in front.
    let place = finished.firstIndex { $0.score < sequence.score } ?? finished.count
    finished.insert(sequence, at: place)
    if finished.count > beams { finished.removeLast() }
  }

  /// The continuations with the highest sums, best first.
  private func best(_ count: Int, of scores: [ArraySlice<Float>]) -> [Candidate] {
    var best: [Candidate] = []
    for (parent, row) in scores.enumerated() {
      let largest = row.max() ?? 0
      let logSum = Double(largest) + log(row.reduce(0.0) { $0 + exp(Double($1 - largest)) })
      let base = running[parent].score - logSum
      for (token, score) in row.enumerated() {
        let sum = base + Double(score)
        if best.count == count, sum <= best[count - 1].score { continue }
        let place = best.firstIndex { $0.score < sum } ?? best.count
        best.insert(Candidate(parent: parent, token: Int32(token), score: sum), at: place)
        if best.count > count { best.removeLast() }
      }
    }
    return best
  }
}
