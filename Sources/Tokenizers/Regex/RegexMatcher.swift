/// Runs a program over UTF-8 text, with backtracking.
struct RegexMatcher {
  /// A place to go on from when the present way fails.
  private struct Fallback {
    var code: Int32
    var position: Int
    /// For what a greedy loop gives back, the least place; -1 for a plain alternative.
    var least: Int
  }

  private let program: RegexProgram
  private var fallbacks: [Fallback] = []

  init(_ program: RegexProgram) {
    self.program = program
  }

  /// Calls `found` with the matches in a range of the bytes, from left to right, none overlapping.
  ///
  /// The range is the whole text for anchors and for what looks behind. An empty match directly behind another match
  /// does not count. `bytes` must be well-formed UTF-8.
  mutating func forEachMatch(
    in bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ found: (Range<Int>) -> Void
  ) {
    let program = program
    program.code.withUnsafeBufferPointer { code in
      program.ascii.withUnsafeBufferPointer { ascii in
        program.pages.withUnsafeBufferPointer { pages in
          program.words.withUnsafeBufferPointer { words in
            program.byteSets.withUnsafeBufferPointer { byteSets in
              let text = Text(
                bytes: bytes, start: range.lowerBound, end: range.upperBound, code: code, ascii: ascii, pages: pages,
                words: words, byteSets: byteSets)
              forEachMatch(text, program.first, found)
            }
          }
        }
      }
    }
  }

  private mutating func forEachMatch(
    _ text: Text, _ first: RegexProgram.ByteSet, _ found: (Range<Int>) -> Void
  ) {
    var position = text.start
    var lastEnd: Int?
    let canBeEmpty = first == .every
    search: while position <= text.end {
      var start = position
      var end = -1
      while true {
        if start == text.end {
          if !canBeEmpty { return }
        } else if !first.contains(text.bytes[start]) {
          start = text.next(start)
          continue
        }
        end = run(0, start, text)
        if end >= 0 { break }
        if start == text.end { return }
        start = text.next(start)
      }
      if end == start && lastEnd == end {
        if position == text.end { return }
        position = text.next(position)
        continue search
      }
      found(start..<end)
      lastEnd = end
      position = end
    }
  }

  /// The text and the parts of the program, as pointers for the time of one call.
  private struct Text {
    let bytes: UnsafeBufferPointer<UInt8>
    let start: Int
    let end: Int
    let code: UnsafeBufferPointer<RegexProgram.Instruction>
    let ascii: UnsafeBufferPointer<UInt64>
    let pages: UnsafeBufferPointer<UInt16>
    let words: UnsafeBufferPointer<UInt64>
    let byteSets: UnsafeBufferPointer<RegexProgram.ByteSet>

    @inline(__always)
    func next(_ position: Int) -> Int {
      let byte = bytes[position]
      if byte < 0x80 { return position + 1 }
      return position + (byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4)
    }

    @inline(__always)
    func previous(_ position: Int) -> Int {
      var position = position - 1
      while bytes[position] & 0xC0 == 0x80 { position -= 1 }
      return position
    }

    /// The end of the scalar at a place inside the text if a set has it, else -1.
    @inline(__always)
    func match(_ set: Int, _ position: Int) -> Int {
      let byte = bytes[position]
      if byte < 0x80 {
        return ascii[2 * set + Int(byte >> 6)] >> UInt64(byte & 63) & 1 != 0 ? position + 1 : -1
      }
      let (scalar, end) = decode(position)
      return contains(set, scalar) ? end : -1
    }

    /// A scalar of well-formed UTF-8 outside ASCII.
    @inline(__always)
    func decode(_ position: Int) -> (scalar: UInt32, end: Int) {
      let first = UInt32(bytes[position])
      let second = UInt32(bytes[position + 1] & 0x3F)
      if first < 0xE0 { return ((first & 0x1F) << 6 | second, position + 2) }
      let third = UInt32(bytes[position + 2] & 0x3F)
      if first < 0xF0 { return ((first & 0xF) << 12 | second << 6 | third, position + 3) }
      return ((first & 7) << 18 | second << 12 | third << 6 | UInt32(bytes[position + 3] & 0x3F), position + 4)
    }

    @inline(__always)
    func contains(_ set: Int, _ scalar: UInt32) -> Bool {
      let page = Int(pages[set * RegexProgram.blocks + Int(scalar >> 8)])
      return words[page * 4 + Int(scalar >> 6 & 3)] >> UInt64(scalar & 63) & 1 != 0
    }

    func holds(_ anchor: RegexNode.Anchor, _ position: Int) -> Bool {
      switch anchor {
      case .textStart: return position == start
      case .textEnd: return position == end
      case .textEndOrNewline: return position == end || (position == end - 1 && bytes[position] == 0x0A)
      case .lineStart:
        return position == start || (bytes[position - 1] == 0x0A && position < end)
      case .lineEnd: return position == end || bytes[position] == 0x0A
      }
    }
  }

  /// The end of a match of the code at `code` that starts at `position`, or -1.
  private mutating func run(_ code: Int, _ position: Int, _ text: Text) -> Int {
    let base = fallbacks.count
    defer { if fallbacks.count > base { fallbacks.removeLast(fallbacks.count - base) } }
    var code = code
    var position = position
    while true {
      let instruction = text.code[code]
      var failed = false
      switch instruction.operation {
      case .accept: return position
      case .byte:
        if position < text.end && text.bytes[position] == UInt8(truncatingIfNeeded: instruction.a) {
          position += 1
          code += 1
        } else {
          failed = true
        }
      case .set:
        let end = position < text.end ? text.match(Int(instruction.a), position) : -1
        if end >= 0 {
          position = end
          code += 1
        } else {
          failed = true
        }
      case .greedy, .possessive:
        var count: Int32 = 0
        var least = position
        while count < instruction.c && position < text.end {
          let end = text.match(Int(instruction.a), position)
          if end < 0 { break }
          position = end
          count += 1
          if count <= instruction.b { least = position }
        }
        if count < instruction.b {
          failed = true
        } else {
          code += 1
          if instruction.operation == .greedy && position > least {
            fallbacks.append(Fallback(code: Int32(code), position: position, least: least))
          }
        }
      case .choice:
        if position < text.end
          ? text.byteSets[Int(instruction.a)].contains(text.bytes[position])
          : text.byteSets[Int(instruction.a)] == .every
        {
          fallbacks.append(Fallback(code: instruction.b, position: position, least: -1))
          code += 1
        } else {
          code = Int(instruction.b)
        }
      case .jump: code = Int(instruction.a)
      case .anchor:
        if let anchor = RegexNode.Anchor(rawValue: UInt8(instruction.a)), text.holds(anchor, position) {
          code += 1
        } else {
          failed = true
        }
      case .look:
        if look(Int(instruction.b), code + 1, position, text) { code = Int(instruction.a) } else { failed = true }
      case .atomic:
        let end = run(code + 1, position, text)
        if end >= 0 {
          position = end
          code = Int(instruction.a)
        } else {
          failed = true
        }
      }
      if failed {
        guard fallbacks.count > base else { return -1 }
        let top = fallbacks.count - 1
        code = Int(fallbacks[top].code)
        if fallbacks[top].least < 0 {
          position = fallbacks[top].position
          fallbacks.removeLast()
        } else {
          position = text.previous(fallbacks[top].position)
          if position > fallbacks[top].least { fallbacks[top].position = position } else { fallbacks.removeLast() }
        }
      }
    }
  }

  private mutating func look(_ index: Int, _ code: Int, _ position: Int, _ text: Text) -> Bool {
    let look = program.looks[index]
    if look.ahead { return (run(code, position, text) >= 0) != look.negated }
    var start = position
    var found = false
    for length in 0...look.maximum {
      if length >= look.minimum && endsBehind(code, from: start, at: position, text) {
        found = true
        break
      }
      guard start > text.start else { break }
      start = text.previous(start)
    }
    return found != look.negated
  }

  /// Whether code matches from one place exactly up to another: it sees a text that ends there.
  private mutating func endsBehind(_ code: Int, from start: Int, at end: Int, _ text: Text) -> Bool {
    let shortened = Text(
      bytes: text.bytes, start: text.start, end: end, code: text.code, ascii: text.ascii, pages: text.pages,
      words: text.words, byteSets: text.byteSets)
    return run(code, start, shortened) >= 0
  }
}
