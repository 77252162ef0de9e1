/// The tokens of a model: bytes to id and id to bytes.
///
/// Keys are bytes, never `String`, whose equality is canonical equivalence. All tokens lie in one array, which an
/// open-addressing hash table refers to.
struct Vocabulary: Sendable {
  /// The largest id that is taken: tables are indexed by id, and a wild id in a broken file must not fill the memory.
  static let largestID: Int32 = (1 << 24) - 1

  private struct Entry {
    var start: UInt32
    /// -1 for an id without a token.
    var length: Int32
  }

  private var bytes: [UInt8] = []
  private var entries: [Entry] = []
  /// Ids, or -1 for a vacant slot.
  private var slots: [Int32]
  private var mask: Int

  /// The number of different tokens.
  private(set) var count = 0

  /// Whether a trie can hold the tokens: it has fewer than 2^24 nodes.
  var fitsTrie: Bool { bytes.count < (1 << 24) - 1 }

  /// One more than the largest id.
  var idBound: Int { entries.count }

  /// An empty vocabulary for about `capacity` tokens.
  init(capacity: Int = 0) {
    var size = 64
    while size < 2 * capacity { size *= 2 }
    slots = [Int32](repeating: -1, count: size)
    mask = size - 1
    entries.reserveCapacity(capacity)
    bytes.reserveCapacity(capacity * 8)
  }

  /// Reads an object from token to id.
  ///
  /// Throws `TokenizerError.invalid` for an id that is none, or comes twice.
  init(_ object: JSONValue, file: JSONFile, place: String) throws {
    let members = try file.members(object, place)
    self.init(capacity: members.count)
    for member in members {
      func name() -> String {
        "\(place)\(place.isEmpty ? "" : ".")\"\(String(decoding: member.key, as: UTF8.self))\""
      }
      let id = try file.id(member.value, name())
      if let other = self[id] {
        throw file.invalid(name(), "id \(id) already belongs to \"\(String(decoding: other, as: UTF8.self))\"")
      }
      insert(member.key, id: id)
    }
  }

  /// Adds a token with an id that is new; of equal tokens the last one is found.
  mutating func insert(_ token: [UInt8], id: Int32) {
    if Int(id) >= entries.count {
      entries.append(contentsOf: repeatElement(Entry(start: 0, length: -1), count: Int(id) - entries.count + 1))
    }
    entries[Int(id)] = Entry(start: UInt32(bytes.count), length: Int32(token.count))
    bytes.append(contentsOf: token)
    if 2 * (count + 1) > slots.count { grow() }
    let place = token.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> Int in self.slot(of: bytes) }
    if slots[place] < 0 { count += 1 }
    slots[place] = id
  }

  /// The slot that holds a token, or that it would take.
  @inline(__always)
  private func slot(of token: UnsafeRawBufferPointer) -> Int {
    var slot = Int(WordCache.hash(token)) & mask
    while slots[slot] >= 0 && !matches(entries[Int(slots[slot])], token) { slot = (slot + 1) & mask }
    return slot
  }

  @inline(__always)
  private func matches(_ entry: Entry, _ token: UnsafeRawBufferPointer) -> Bool {
    guard Int(entry.length) == token.count else { return false }
    let start = Int(entry.start)
    return bytes.withUnsafeBufferPointer { bytes in
      for offset in 0..<token.count where bytes[start + offset] != token[offset] { return false }
      return true
    }
  }

  private mutating func grow() {
    let kept = slots
    slots = [Int32](repeating: -1, count: 2 * kept.count)
    mask = slots.count - 1
    for id in kept where id >= 0 {
      let entry = entries[Int(id)]
      let start = Int(entry.start)
      var slot = bytes.withUnsafeBytes { bytes in
        Int(WordCache.hash(UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(entry.length)]))) & mask
      }
      while slots[slot] >= 0 { slot = (slot + 1) & mask }
      slots[slot] = id
    }
  }

  /// The token of an id.
  subscript(id: Int32) -> [UInt8]? {
    guard id >= 0 && Int(id) < entries.count, case let entry = entries[Int(id)], entry.length >= 0 else { return nil }
    return Array(bytes[Int(entry.start)..<Int(entry.start) + Int(entry.length)])
  }

  /// The id of a token.
  subscript(token: [UInt8]) -> Int32? {
    token.withUnsafeBytes { self[$0] }
  }

  /// The id of a token.
  subscript(token: UnsafeRawBufferPointer) -> Int32? {
    let id = slots[slot(of: token)]
    return id < 0 ? nil : id
  }
}
