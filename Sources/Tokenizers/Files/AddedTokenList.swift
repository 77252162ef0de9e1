/// Collects added tokens from several files, and gives them the ids that the reference implementation gives them.
struct AddedTokenList {
  private let vocabulary: Vocabulary
  private(set) var entries: [AddedTokens.Entry] = []

  init(vocabulary: Vocabulary) {
    self.vocabulary = vocabulary
  }

  /// The id of a token: that of the added token or the vocabulary's entry with these bytes.
  func id(of content: [UInt8]) -> Int32? {
    entries.first { $0.token.content == content }?.id ?? vocabulary[content]
  }

  func contains(_ content: [UInt8]) -> Bool {
    entries.contains { $0.token.content == content }
  }

  func contains(_ token: AddedToken) -> Bool {
    entries.contains { $0.token == token }
  }

  /// The id that a token without one gets: the one after all others.
  ///
  /// As in the reference implementation, which counts the vocabulary's entries and looks at no gaps between their ids.
  private var nextID: Int32 {
    let size = Int32(vocabulary.count)
    guard let largest = entries.map(\.id).max(), largest >= size else { return size }
    return largest + 1
  }

  /// Adds a token, or replaces the one with the same bytes.
  ///
  /// `stated` is the id that a file gives it.
  mutating func add(_ token: AddedToken, stated: Int32?, file: JSONFile, place: String) throws {
    let name = String(decoding: token.content, as: UTF8.self)
    guard !token.content.isEmpty else { throw file.invalid(place, "an added token without content") }
    let known = id(of: token.content)
    let id = known ?? nextID
    if let stated, stated != id {
      let reason = known == nil ? "comes next" : "the vocabulary gives it"
      throw file.invalid(place, "the token \"\(name)\" has id \(stated), but \(id) is what \(reason)")
    }
    if let index = entries.firstIndex(where: { $0.id == id }) {
      guard entries[index].token.content == token.content else {
        let other = String(decoding: entries[index].token.content, as: UTF8.self)
        throw file.invalid(place, "id \(id) of \"\(name)\" already belongs to \"\(other)\"")
      }
      entries[index].token = token
      return
    }
    if let other = vocabulary[id], other != token.content {
      throw file.invalid(
        place, "id \(id) of \"\(name)\" already belongs to \"\(String(decoding: other, as: UTF8.self))\"")
    }
    entries.append((id, token))
  }
}

extension AddedToken {
  /// Reads a token from an object with `content` and flags; flags that are absent are `specialDefault` and what goes
  /// with it.
  init(_ object: JSONValue, file: JSONFile, place: String, specialDefault: Bool) throws {
    guard let content = try file.bytes(object, "content", "\(place).") else {
      throw file.invalid(place, "an added token without content")
    }
    let special = try file.bool(object, "special", "\(place).") ?? specialDefault
    self.init(
      content: content,
      singleWord: try file.bool(object, "single_word", "\(place).") ?? false,
      stripsLeft: try file.bool(object, "lstrip", "\(place).") ?? false,
      stripsRight: try file.bool(object, "rstrip", "\(place).") ?? false,
      normalized: try file.bool(object, "normalized", "\(place).") ?? !special,
      special: special)
  }

  /// A special token of which only the content is known.
  static func special(_ content: [UInt8]) -> AddedToken {
    AddedToken(content: content, normalized: false, special: true)
  }
}
