/// ROUGE-L, the F1 of the longest common subsequence of words.
///
/// Words are runs of the letters a to z and digits of the lowercased text, without stemming, as in the `rouge_score`
/// package. Source: Lin 2004.
public enum ROUGEL {
  /// The mean over all examples of the best F1 of any reference, from 0 to 1, or nil without examples.
  ///
  /// There must be as many lists of references as predictions; a list without references counts 0.
  public static func corpus(predictions: [String], references: [[String]]) -> Double? {
    precondition(predictions.count == references.count, "a list of references for each prediction")
    guard !predictions.isEmpty else { return nil }
    var sum = 0.0
    for (prediction, references) in zip(predictions, references) {
      let words = words(prediction)
      sum += references.map { f1(words, self.words($0)) }.max() ?? 0
    }
    return sum / Double(predictions.count)
  }

  /// The F1 of two texts, from 0 to 1; 0 where one has no words.
  public static func f1(prediction: String, reference: String) -> Double {
    f1(words(prediction), words(reference))
  }

  private static func f1(_ prediction: [[UInt8]], _ reference: [[UInt8]]) -> Double {
    let common = Double(longestCommonSubsequence(prediction, reference))
    guard common > 0 else { return 0 }
    let precision = common / Double(prediction.count)
    let recall = common / Double(reference.count)
    return 2 * precision * recall / (precision + recall)
  }

  static func words(_ text: String) -> [[UInt8]] {
    var words: [[UInt8]] = []
    var word: [UInt8] = []
    for scalar in text.unicodeScalars {
      for byte in scalar.properties.lowercaseMapping.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
          word.append(byte)
        default:
          if !word.isEmpty { words.append(word) }
          word.removeAll()
        }
      }
    }
    if !word.isEmpty { words.append(word) }
    return words
  }

  private static func longestCommonSubsequence(_ first: [[UInt8]], _ second: [[UInt8]]) -> Int {
    // `lengths[j]` is the length for what was seen of `first` and the first j words of `second`.
    var lengths = [Int](repeating: 0, count: second.count + 1)
    for word in first {
      var diagonal = 0
      for column in second.indices {
        let above = lengths[column + 1]
        lengths[column + 1] = word == second[column] ? diagonal + 1 : max(above, lengths[column])
        diagonal = above
      }
    }
    return lengths[second.count]
  }
}
