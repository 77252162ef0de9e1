/// A text with the fields of a row in it, such as `sentence1: {premise} sentence2: {hypothesis} {mask}`.
///
/// `{name}` stands for the row's field of that name, `{name!}` for one that is never cut, `{mask}` for the word to be
/// guessed; `{{` and `}}` are braces.
public struct TextTemplate: Sendable, Hashable {
  /// A part of the text.
  public enum Piece: Sendable, Hashable {
    case text(String)
    case field(String, mayBeCut: Bool)
    case mask
  }

  /// The name that stands for the word to be guessed.
  public static let maskName = "mask"

  /// The template as it was written.
  public let source: String
  public let pieces: [Piece]

  /// - Parameter place: what errors name: a file and line, or an option.
  /// - Throws: `MethodError.badTemplate` for braces that do not match, a field without a name, two masks, and a text
  ///   without a field.
  public init(_ source: String, place: String = "--template") throws {
    func broken(_ reason: String) -> MethodError { .badTemplate(place: place, reason: reason) }
    self.source = source
    var pieces: [Piece] = []
    var text = ""
    var rest = Substring(source)
    while let character = rest.popFirst() {
      switch character {
      case "{" where rest.first == "{", "}" where rest.first == "}":
        text.append(character)
        rest.removeFirst()
      case "}": throw broken("a '}' without its '{' ('}}' writes a brace)")
      case "{":
        guard let end = rest.firstIndex(of: "}") else { throw broken("a '{' without its '}' ('{{' writes a brace)") }
        let name = rest[..<end]
        guard !name.contains("{") else { throw broken("a '{' inside '{\(name)}'") }
        rest = rest[rest.index(after: end)...]
        if !text.isEmpty { pieces.append(.text(text)) }
        text = ""
        pieces.append(try Self.piece(name, broken))
      default: text.append(character)
      }
    }
    if !text.isEmpty { pieces.append(.text(text)) }
    self.pieces = pieces
    let masks = pieces.count { $0 == .mask }
    guard masks <= 1 else { throw broken("the template has \(masks) masks, one is possible") }
    guard !fields.isEmpty else { throw broken("the template has no {field}") }
  }

  private static func piece(_ name: Substring, _ broken: (String) -> MethodError) throws -> Piece {
    if name == maskName { return .mask }
    let isWhole = name.hasSuffix("!")
    let field = isWhole ? name.dropLast() : name
    guard !field.isEmpty else { throw broken("'{\(name)}' names no field") }
    return .field(String(field), mayBeCut: !isWhole)
  }

  public var hasMask: Bool { pieces.contains(.mask) }

  /// Whether nothing but spaces stands behind the mask.
  public var endsInMask: Bool {
    guard let mask = pieces.firstIndex(of: .mask) else { return false }
    return pieces[(mask + 1)...].allSatisfy {
      if case .text(let text) = $0 { text.allSatisfy(\.isWhitespace) } else { false }
    }
  }

  /// The names of its fields, in order.
  public var fields: [String] {
    pieces.compactMap { if case .field(let name, _) = $0 { name } else { nil } }
  }

  /// Whether one of its fields may be cut.
  public var mayBeCut: Bool {
    pieces.contains { if case .field(_, mayBeCut: true) = $0 { true } else { false } }
  }

  /// The text of a row.
  ///
  /// - Parameters:
  ///   - mask: what stands for the word to be guessed; nil leaves it out, with the spaces that end the text then.
  ///   - cut: gives what is left of each field that may be cut, in order.
  /// - Throws: `MethodError.badField` naming file, line and key.
  public func text(
    of example: Example, mask: String?, cut: ([String]) -> [Substring] = { $0.map { $0[...] } }
  ) throws -> String {
    var values: [String] = []
    for case .field(let name, mayBeCut: true) in pieces { values.append(try value(of: name, in: example)) }
    var kept = cut(values)[...]
    var text = ""
    for piece in pieces {
      switch piece {
      case .text(let part): text += part
      case .field(_, mayBeCut: true): text += kept.popFirst() ?? ""
      case .field(let name, mayBeCut: false): text += try value(of: name, in: example)
      case .mask: text += mask ?? ""
      }
    }
    if hasMask, mask == nil { while text.last?.isWhitespace == true { text.removeLast() } }
    return text
  }

  private func value(of name: String, in example: Example) throws -> String {
    try example.fields.text(name, at: example.source)
  }

  /// The words that two templates are compared by: what stands between spaces.
  var words: [Substring] { source.split(separator: " ") }
}
