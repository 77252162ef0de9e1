/// A pattern that is broken, or that asks for what the engine does not have.
///
/// Such a pattern is refused as a whole: it is never approximated.
struct RegexSyntaxError: Error, CustomStringConvertible {
  let pattern: String
  let detail: String

  var description: String { "the pattern \(pattern) (\(detail))" }
}
