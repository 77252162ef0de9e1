import Foundation

/// BLEU of a corpus, equal to sacrebleu's default `corpus_bleu`.
///
/// Tokenizer 13a, mixed case, n-grams up to four words, exponential smoothing, no effective order, and the brevity
/// penalty with each example's closest reference length. Sources: Papineni et al. 2002; Chen and Cherry 2014
/// (smoothing 3).
public enum BLEU {
  /// The longest n-grams that count.
  static let order = 4

  /// A score and what it was made of.
  public struct Score: Sendable, Equatable {
    /// From 0 to 100.
    public let value: Double
    /// The n-gram precisions in percent, smoothed, for n from 1 to 4.
    public let precisions: [Double]
    /// The brevity penalty, from 0 to 1.
    public let brevityPenalty: Double
    /// The number of words in the predictions.
    public let predictionLength: Int
    /// The sum of the closest references' numbers of words.
    public let referenceLength: Int
  }

  /// The score of predictions against one or more references each; how many may differ from example to example.
  ///
  /// Without any prediction, or without a word that agrees, the score is 0. There must be as many lists of references
  /// as predictions, and none may be empty.
  public static func corpus(predictions: [String], references: [[String]]) -> Score {
    precondition(predictions.count == references.count, "a list of references for each prediction")
    var statistics = Statistics()
    for (prediction, references) in zip(predictions, references) {
      precondition(!references.isEmpty, "at least one reference for each prediction")
      statistics.add(prediction, references)
    }
    return statistics.score
  }
}

extension BLEU {
  /// Up to four words, by number; places that are not used hold -1.
  private struct NGram: Hashable {
    var words = SIMD4<Int32>(repeating: -1)
  }

  /// Counts over a corpus.
  private struct Statistics {
    private var matches = [Int](repeating: 0, count: order)
    private var totals = [Int](repeating: 0, count: order)
    private var predictionLength = 0
    private var referenceLength = 0
    private var numbers: [[UInt8]: Int32] = [:]

    mutating func add(_ prediction: String, _ references: [String]) {
      let words = numbered(prediction)
      let references = references.map { numbered($0) }
      predictionLength += words.count
      referenceLength += closestLength(to: words.count, of: references.map(\.count))
      for length in 1...order where words.count >= length {
        var allowed: [NGram: Int] = [:]
        for reference in references {
          allowed.merge(counts(reference, length), uniquingKeysWith: max)
        }
        for (ngram, count) in counts(words, length) { matches[length - 1] += min(count, allowed[ngram] ?? 0) }
        totals[length - 1] += words.count - length + 1
      }
    }

    private mutating func numbered(_ text: String) -> [Int32] {
      MTEvalWords.split(text).map { word in
        if let number = numbers[word] { return number }
        let number = Int32(numbers.count)
        numbers[word] = number
        return number
      }
    }

    private func counts(_ words: [Int32], _ length: Int) -> [NGram: Int] {
      guard words.count >= length else { return [:] }
      var counts: [NGram: Int] = [:]
      for start in 0...words.count - length {
        var ngram = NGram()
        for offset in 0..<length { ngram.words[offset] = words[start + offset] }
        counts[ngram, default: 0] += 1
      }
      return counts
    }

    /// The closest length; of two that are equally close the shorter.
    private func closestLength(to length: Int, of lengths: [Int]) -> Int {
      lengths.min { (abs($0 - length), $0) < (abs($1 - length), $1) } ?? 0
    }

    var score: Score {
      var penalty = 1.0
      if predictionLength < referenceLength {
        penalty = predictionLength > 0 ? exp(1 - Double(referenceLength) / Double(predictionLength)) : 0
      }
      var precisions = [Double](repeating: 0, count: order)
      func score(_ value: Double) -> Score {
        Score(
          value: value, precisions: precisions, brevityPenalty: penalty, predictionLength: predictionLength,
          referenceLength: referenceLength)
      }
      guard matches.contains(where: { $0 > 0 }) else { return score(0) }
      // An order without a match counts as half a match the first time, a quarter the next.
      var smoothing = 1.0
      for index in 0..<order where totals[index] > 0 {
        if matches[index] == 0 {
          smoothing *= 2
          precisions[index] = 100 / (smoothing * Double(totals[index]))
        } else {
          precisions[index] = 100 * Double(matches[index]) / Double(totals[index])
        }
      }
      // No prediction is as long as the order: its precision is 0, and so is the geometric mean.
      guard precisions.allSatisfy({ $0 > 0 }) else { return score(0) }
      let logarithms = precisions.reduce(0) { $0 + log($1) }
      return score(penalty * exp(logarithms / Double(order)))
    }
  }
}
