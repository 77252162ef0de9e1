/// Tokens by their bytes, for finding all that a text starts with.
///
/// The edges of all nodes lie in one open-addressing hash table from (node, byte) to node.
struct TokenTrie: Sendable {
  private var keys: [UInt32]
  private var children: [UInt32]
  private var mask: Int
  private var edgeCount = 0
  /// For each node its token's id, or -1.
  private var ids: [Int32] = [-1]

  /// The node that every token starts from.
  static let root: UInt32 = 0
  private static let vacant = UInt32.max

  /// An empty trie for about `capacity` bytes of tokens.
  init(capacity: Int) {
    var size = 1024
    while size < 2 * capacity { size *= 2 }
    keys = [UInt32](repeating: Self.vacant, count: size)
    children = [UInt32](repeating: 0, count: size)
    mask = size - 1
  }

  @inline(__always)
  private func slot(_ key: UInt32) -> Int {
    Int(truncatingIfNeeded: (UInt64(key) &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
  }

  /// Adds a token; of equal ones the last counts.
  ///
  /// All tokens together must have fewer than 2^24 bytes.
  mutating func insert(_ token: [UInt8], id: Int32) {
    var node = Self.root
    for byte in token {
      if let child = child(of: node, byte) {
        node = child
        continue
      }
      precondition(ids.count < 1 << 24, "a trie of more than 2^24 nodes")
      if 2 * (edgeCount + 1) > keys.count { grow() }
      let next = UInt32(ids.count)
      ids.append(-1)
      set(node << 8 | UInt32(byte), next)
      edgeCount += 1
      node = next
    }
    ids[Int(node)] = id
  }

  private mutating func set(_ key: UInt32, _ child: UInt32) {
    var slot = slot(key)
    while keys[slot] != Self.vacant { slot = (slot + 1) & mask }
    keys[slot] = key
    children[slot] = child
  }

  private mutating func grow() {
    let (oldKeys, oldChildren) = (keys, children)
    keys = [UInt32](repeating: Self.vacant, count: 2 * oldKeys.count)
    children = [UInt32](repeating: 0, count: keys.count)
    mask = keys.count - 1
    for (key, child) in zip(oldKeys, oldChildren) where key != Self.vacant { set(key, child) }
  }

  /// The node behind a byte, or nil where no token goes on so.
  @inline(__always)
  func child(of node: UInt32, _ byte: UInt8) -> UInt32? {
    let key = node << 8 | UInt32(byte)
    var slot = slot(key)
    while keys[slot] != key {
      if keys[slot] == Self.vacant { return nil }
      slot = (slot + 1) & mask
    }
    return children[slot]
  }

  /// The token that ends at a node, or -1.
  @inline(__always)
  func id(at node: UInt32) -> Int32 { ids[Int(node)] }
}
