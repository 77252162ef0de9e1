/// The operators of Logic2Text's logic forms that a sentence has to put into words, with the words that count.
///
/// Operators that are not here (such as `eq`, `count` or `hop`) need no word. The lists are those of the published
/// metric, unexpected members included.
enum LogicOperators {
  private static let smallest = [
    "minimum", "fastest", "smallest", "shortest", "worst", "youngest", "least", "lowest", "earliest", "any",
    "highest rank", "latest", "longest", "oldest",
  ]
  private static let largest = [
    "max", "slowest", "maximum", "largest", "longest", "oldest", "top", "best", "most", "highest", "latest",
    "larger than any", "lowest rank", "predominantly", "earliest", "shortest", "newest",
  ]
  private static let greater = [
    "faster", "greater", "larger", "older", "more", "bigger", "higher", "after", "above", "over", "at least",
    "worse rank", "later", "longer",
  ]
  private static let less = [
    "slower", "younger", "smaller", "less", "fewer", "lower", "before", "shorter", "below", "under", "lighter",
    "better rank", "earlier", "prior",
  ]
  private static let most = ["majority", "most", "major"]

  /// Words by operator.
  static let words: [String: [String]] = {
    var words = [
      "only": ["only", "one"], "avg": ["average", "mean"], "sum": ["sum", "total"],
      "filter_less": less, "filter_less_eq": less, "filter_greater": greater, "filter_greater_eq": greater,
      "less": less, "greater": greater,
      "all_less": less, "all_less_eq": less, "all_greater": greater, "all_greater_eq": greater,
      "most_less": most + less, "most_less_eq": most + less,
      "most_greater": most + greater, "most_greater_eq": most + greater,
    ]
    for name in ["max", "argmax", "nth_max", "nth_argmax"] { words[name] = largest }
    for name in ["min", "argmin", "nth_min", "nth_argmin"] { words[name] = smallest }
    for name in ["most_str_eq", "most_str_not_eq", "most_eq", "most_not_eq"] { words[name] = most }
    return words
  }()

  static let ordinals = [
    "zero", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
  ]

  /// The published table has "nine" for 8; scores are comparable only with the same table.
  static let cardinals = ["zero", "one", "two", "three", "four", "five", "six", "seven", "nine", "nine", "ten"]
}
