import Foundation

/// BLEC: whether a sentence says what a logic form of Logic2Text asks for.
///
/// A prediction passes if every operator that has words has one of them in it and every number of the logic form is
/// there, as digits or as a word. Everything is looked for as a part of the text, inside words too. Source: Shu et al.,
/// "Logic-Consistency Text Generation from Semantic Parses", 2021, in the version that UnifiedSKG reports.
public enum BLEC {
  /// The share of predictions without a missing piece, from 0 to 1, or nil without examples.
  ///
  /// - Parameters:
  ///   - logic: a logic form for each prediction, such as `eq { count { filter_eq { all_rows ; city ; x } } ; 3 }`.
  ///   - references: what a person wrote for each.
  public static func corpus(predictions: [String], logic: [String], references: [String]) -> Double? {
    precondition(
      predictions.count == logic.count && predictions.count == references.count,
      "a logic form and a reference for each prediction")
    guard !predictions.isEmpty else { return nil }
    let passed = predictions.indices.count {
      missing(in: predictions[$0], logic: logic[$0], reference: references[$0]).isEmpty
    }
    return Double(passed) / Double(predictions.count)
  }

  /// The pieces of a logic form that a prediction lacks, and `not` where it negates what the form does not.
  public static func missing(in prediction: String, logic: String, reference: String) -> [String] {
    let pieces = pieces(of: logic)
    var missing: [String] = []
    if holds(prediction, "not"), !pieces.contains("not") { missing.append("not") }
    for piece in pieces {
      if let words = LogicOperators.words[piece] {
        if !words.contains(where: { holds(prediction, $0) }) { missing.append(piece) }
      } else if isWholeNumber(piece), !says(prediction, piece), says(reference, piece) {
        // A number that the person left out too is forgiven.
        missing.append(piece)
      }
    }
    return missing
  }

  /// What stands between braces, semicolons and bars, without spaces around it.
  static func pieces(of logic: String) -> [String] {
    logic.utf8.split { "{};|".utf8.contains($0) }
      .map { String($0)?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "" }.filter { !$0.isEmpty }
  }

  /// Whether a text says a number: its digits, or up to ten its word, or above ten its digits with commas.
  ///
  /// The 1 always passes: it is seldom written.
  static func says(_ text: String, _ number: String) -> Bool {
    if holds(text, number) || number == "1" { return true }
    let digits = String(number.drop { $0 == "0" })
    if digits.count <= 2, let value = Int(digits.isEmpty ? "0" : digits), value <= 10 {
      return holds(text, LogicOperators.ordinals[value]) || holds(text, LogicOperators.cardinals[value])
    }
    return holds(text, grouped(digits))
  }

  /// Digits with a comma between groups of three.
  static func grouped(_ digits: String) -> String {
    var result = ""
    for (place, digit) in digits.enumerated() {
      if place > 0, (digits.count - place) % 3 == 0 { result.append(",") }
      result.append(digit)
    }
    return result
  }

  private static func isWholeNumber(_ text: String) -> Bool {
    text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  /// Whether a text has another in it, byte for byte.
  private static func holds(_ text: String, _ part: String) -> Bool {
    let (text, part) = (Array(text.utf8), Array(part.utf8))
    guard let first = part.first, part.count <= text.count else { return part.isEmpty }
    return (0...text.count - part.count).contains { start in
      text[start] == first && text[start..<start + part.count].elementsEqual(part)
    }
  }
}
