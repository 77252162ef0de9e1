import Foundation

/// Okapi BM25 over words (Robertson and Zaragoza, 2009), by way of an inverted index.
///
/// The score of a text for a query is the sum, over the query's words with repetitions, of
/// `idf(w) f (k1 + 1) / (f + k1 (1 - b + b l / mean l))`, where `f` is how often the text has the word, `l` the number of
/// its words, and `idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5))` for a word that `n` of `N` texts have; this form of idf is
/// never negative. Sums are formed in `Double`, in the order of the query's words.
public struct BM25Index: TextIndex {
  public static let k1 = 1.2
  public static let b = 0.75

  public let count: Int
  private var numbers: [String: Int] = [:]
  /// The postings of word `w` are `starts[w]..<starts[w + 1]`.
  private var starts: [Int] = [0]
  private var texts: [Int32] = []
  /// What one occurrence of the word in a query adds to the text's score.
  private var weights: [Double] = []

  /// - Parameters:
  ///   - texts: different texts.
  ///   - rowCounts: how many rows of a pool have each of them; every row counts in frequencies and mean lengths.
  public init(_ texts: [String], rowCounts: [Int]) {
    precondition(texts.count == rowCounts.count, "each text has a number of rows")
    count = texts.count
    var postings: [[(text: Int32, frequency: Int32)]] = []
    var lengths: [Int] = []
    lengths.reserveCapacity(count)
    for (number, text) in texts.enumerated() {
      let words = WordTokens.of(text)
      lengths.append(words.count)
      for word in words {
        let id: Int
        if let known = numbers[word] {
          id = known
        } else {
          id = postings.count
          numbers[word] = id
          postings.append([])
        }
        if let last = postings[id].last, last.text == Int32(number) {
          postings[id][postings[id].count - 1].frequency += 1
        } else {
          postings[id].append((Int32(number), 1))
        }
      }
    }
    let rows = Double(rowCounts.reduce(0, +))
    let total = zip(lengths, rowCounts).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    // Without a single word there are no postings either, and the mean is not used.
    let meanLength = total > 0 ? total / rows : 1
    let norms = lengths.map { Self.k1 * (1 - Self.b + Self.b * Double($0) / meanLength) }
    for list in postings {
      let having = Double(list.reduce(0) { $0 + rowCounts[Int($1.text)] })
      let idf = log(1 + (rows - having + 0.5) / (having + 0.5))
      for posting in list {
        let frequency = Double(posting.frequency)
        self.texts.append(posting.text)
        weights.append(idf * frequency * (Self.k1 + 1) / (frequency + norms[Int(posting.text)]))
      }
      starts.append(self.texts.count)
    }
  }

  public func nearest(_ queries: [IndexQuery], count wanted: Int) -> [[ScoredText]] {
    var scores = [Double](repeating: 0, count: count)
    return queries.map { query in
      score(query.text, into: &scores)
      var best = BestTexts(max(1, wanted))
      var threshold = best.threshold
      scores.withUnsafeBufferPointer { scores in
        for text in 0..<scores.count where scores[text] > threshold {
          best.insert(ScoredText(text: text, score: scores[text]))
          threshold = best.threshold
        }
      }
      return wanted > 0 ? best.sorted() : []
    }
  }

  /// The scores of all texts for a query.
  func scores(_ query: String) -> [Double] {
    var scores = [Double](repeating: 0, count: count)
    score(query, into: &scores)
    return scores
  }

  private func score(_ query: String, into scores: inout [Double]) {
    var words: [(id: Int, times: Int)] = []
    for word in WordTokens.of(query) {
      guard let id = numbers[word] else { continue }
      if let place = words.firstIndex(where: { $0.id == id }) { words[place].times += 1 } else { words.append((id, 1)) }
    }
    scores.withUnsafeMutableBufferPointer { scores in
      scores.update(repeating: 0)
      weights.withUnsafeBufferPointer { weights in
        texts.withUnsafeBufferPointer { texts in
          for word in words {
            let times = Double(word.times)
            for place in starts[word.id]..<starts[word.id + 1] { scores[Int(texts[place])] += times * weights[place] }
          }
        }
      }
    }
  }
}
