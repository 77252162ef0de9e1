/// The tokens of a model: bytes to id and id to bytes.
///
/// Keys are bytes, never `String`, whose equality is canonical equivalence.
struct Vocabulary: Sendable {
  /// The largest id that is taken: tables are indexed by id, and a wild id in a broken file must not fill the memory.
  static let largestID: Int32 = (1 << 24) - 1

  private(set) var ids: [[UInt8]: Int32] = [:]
  private var tokens: [[UInt8]?] = []

  /// The number of tokens.
  var count: Int { ids.count }

  /// One more than the largest id.
  var idBound: Int { tokens.count }

  /// Reads an object from token to id.
  ///
  /// Throws `TokenizerError.invalid` for an id that is none, or comes twice.
  init(_ object: JSONValue, file: JSONFile, place: String) throws {
    let members = try file.members(object, place)
    ids.reserveCapacity(members.count)
    tokens.reserveCapacity(members.count)
    for member in members {
      let name = "\(place)\(place.isEmpty ? "" : ".")\"\(String(decoding: member.key, as: UTF8.self))\""
      let id = try file.id(member.value, name)
      if let other = self[id] {
        throw file.invalid(name, "id \(id) already belongs to \"\(String(decoding: other, as: UTF8.self))\"")
      }
      insert(member.key, id: id)
    }
  }

  /// Adds a token whose id and bytes are new.
  mutating func insert(_ token: [UInt8], id: Int32) {
    ids[token] = id
    if Int(id) >= tokens.count {
      tokens.append(contentsOf: repeatElement(nil, count: Int(id) - tokens.count + 1))
    }
    tokens[Int(id)] = token
  }

  /// The token of an id.
  subscript(id: Int32) -> [UInt8]? {
    id >= 0 && Int(id) < tokens.count ? tokens[Int(id)] : nil
  }

  /// The id of a token.
  subscript(token: [UInt8]) -> Int32? {
    ids[token]
  }
}
