import Foundation

/// What two answers may differ in and still be an exact match.
public enum AnswerNormalization: String, Sendable, Hashable, Codable, CaseIterable {
  /// Nothing.
  case none
  /// White space at both ends.
  case trimmed
  /// White space: at both ends none, elsewhere one space.
  case spaces
  /// White space and upper or lower case.
  case lowercased
  /// SQL: white space, spaces before commas and the case of everything outside quotes.
  case sql

  /// The form that is compared.
  public func applied(to text: String) -> String {
    switch self {
    case .none: text
    case .trimmed: text.trimmingCharacters(in: .whitespacesAndNewlines)
    case .spaces: Self.collapsed(text)
    case .lowercased: Self.collapsed(text).lowercased()
    case .sql: Self.sql(text)
    }
  }

  private static func collapsed(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
  }

  /// Lower case outside quotes, and no space in front of a comma.
  private static func sql(_ text: String) -> String {
    var result = ""
    var quote: Character?
    for character in collapsed(text) {
      if let open = quote {
        result.append(character)
        if character == open { quote = nil }
      } else if character == "'" || character == "\"" {
        result.append(character)
        quote = character
      } else {
        if character == ",", result.last == " " { result.removeLast() }
        result += character.lowercased()
      }
    }
    return result
  }
}
