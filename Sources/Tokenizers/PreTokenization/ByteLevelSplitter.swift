/// The pre-tokenizer of the GPT-2 family, written out by hand.
///
/// It splits text where the regular expression
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` does (Radford et al. 2019): English
/// contractions; runs of letters, of numbers and of anything else but white space, each with one space in front; and
/// white space, where a run before something else leaves its last character to it. Every byte lands in one piece.
struct ByteLevelSplitter {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let classes: UnicodeClasses

  /// `bytes` must be well-formed UTF-8, and outlive the splitter.
  init(_ bytes: UnsafeBufferPointer<UInt8>, classes: UnicodeClasses) {
    self.bytes = bytes
    self.classes = classes
  }

  /// The group and the length in bytes of the character at a place inside the text.
  @inline(__always)
  private func character(at position: Int) -> (group: UnicodeClasses.Group, length: Int) {
    let byte = bytes[position]
    if byte < 0x80 { return (Self.asciiGroup(byte), 1) }
    let element = UTF8Scalars.element(in: bytes, at: position)
    guard let scalar = element.scalar else { preconditionFailure("the splitter takes well-formed UTF-8 only") }
    return (classes.group(scalar), element.length)
  }

  /// The group of an ASCII character, which all Unicode versions agree on.
  @inline(__always)
  private static func asciiGroup(_ byte: UInt8) -> UnicodeClasses.Group {
    let lowered = byte | 0x20
    if lowered >= UInt8(ascii: "a") && lowered <= UInt8(ascii: "z") { return .letter }
    if byte == 0x20 || (byte >= 0x09 && byte <= 0x0D) { return .space }
    if byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") { return .number }
    return .other
  }

  /// The end of the run of one group that starts at `position`.
  @inline(__always)
  private func endOfRun(_ group: UnicodeClasses.Group, from position: Int, until end: Int) -> Int {
    var position = position
    while position < end {
      let next = character(at: position)
      if next.group != group { break }
      position += next.length
    }
    return position
  }

  /// The end of the piece that starts at `start`, where `end` is the end of the text and `start < end`.
  @inline(__always)
  func endOfPiece(from start: Int, until end: Int) -> Int {
    let first = character(at: start)
    guard first.group == .space else {
      if bytes[start] == UInt8(ascii: "'"), let length = contraction(at: start, until: end) { return start + length }
      return endOfRun(first.group, from: start + first.length, until: end)
    }
    if bytes[start] == 0x20 && start + 1 < end {
      let second = character(at: start + 1)
      if second.group != .space { return endOfRun(second.group, from: start + 1 + second.length, until: end) }
    }
    return endOfSpace(from: start, until: end)
  }

  /// The end of white space: a run that something follows leaves its last character, unless it is the only one.
  private func endOfSpace(from start: Int, until end: Int) -> Int {
    var position = start
    var last = start
    while position < end {
      let next = character(at: position)
      if next.group != .space { return last > start ? last : position }
      last = position
      position += next.length
    }
    return end
  }

  /// The length of an English contraction at an apostrophe, or nil.
  private func contraction(at start: Int, until end: Int) -> Int? {
    guard start + 1 < end else { return nil }
    switch bytes[start + 1] {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return 2
    case UInt8(ascii: "r") where start + 2 < end && bytes[start + 2] == UInt8(ascii: "e"): return 3
    case UInt8(ascii: "v") where start + 2 < end && bytes[start + 2] == UInt8(ascii: "e"): return 3
    case UInt8(ascii: "l") where start + 2 < end && bytes[start + 2] == UInt8(ascii: "l"): return 3
    default: return nil
    }
  }
}
