/// Turns a parsed pattern into a program.
struct RegexCompiler {
  private static let largestProgram = 20000

  private let pattern: String
  private var program = RegexProgram()
  private var sets: [ScalarSet] = []
  private var knownPages: [[UInt64]: UInt16] = [:]

  init(_ pattern: String) {
    self.pattern = pattern
  }

  mutating func compile(_ node: RegexNode) throws -> RegexProgram {
    try emit(node)
    add(.accept)
    // What stands at the very end never has to give anything back.
    for index in program.code.indices.dropLast()
    where program.code[index].operation == .greedy && leadsToEnd(index + 1) {
      program.code[index].operation = .possessive
    }
    let (first, canBeEmpty) = Self.first(node)
    if !canBeEmpty { program.first = first }
    return program
  }

  private func leadsToEnd(_ index: Int) -> Bool {
    var index = index
    while program.code[index].operation == .jump { index = Int(program.code[index].a) }
    return index == program.code.count - 1
  }

  @discardableResult
  private mutating func add(_ operation: RegexProgram.Operation, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0) -> Int {
    program.code.append(.init(operation: operation, a: Int32(a), b: Int32(b), c: Int32(c)))
    return program.code.count - 1
  }

  private var here: Int32 { Int32(program.code.count) }

  private mutating func emit(_ node: RegexNode) throws {
    if program.code.count > Self.largestProgram { throw RegexSyntaxError(pattern: pattern, detail: "too long") }
    switch node {
    case .empty: break
    case .set(let set):
      if let scalar = set.single {
        var bytes: [UInt8] = []
        UTF8Scalars.append(scalar, to: &bytes)
        for byte in bytes { add(.byte, Int(byte)) }
      } else {
        add(.set, number(of: set))
      }
    case .sequence(let nodes):
      for node in nodes { try emit(node) }
    case .alternatives(let nodes):
      var ends: [Int] = []
      for node in nodes.dropLast() {
        let choice = add(.choice, byteSet(node))
        try emit(node)
        ends.append(add(.jump))
        program.code[choice].b = here
      }
      if let last = nodes.last { try emit(last) }
      for end in ends { program.code[end].a = here }
    case .repeated(let node, let minimum, let maximum, let greed):
      try emitRepeated(node, minimum, maximum, greed)
    case .anchor(let anchor):
      add(.anchor, Int(anchor.rawValue))
    case .atomic(let node):
      let start = add(.atomic)
      try emit(node)
      add(.accept)
      program.code[start].a = here
    case .look(let node, let ahead, let negated):
      let length = node.length
      program.looks.append(
        .init(ahead: ahead, negated: negated, minimum: length.minimum, maximum: length.maximum ?? 0))
      let start = add(.look, 0, program.looks.count - 1)
      try emit(node)
      // The text that is looked at ends where look-behind has to end.
      if !ahead { add(.anchor, Int(RegexNode.Anchor.textEnd.rawValue)) }
      add(.accept)
      program.code[start].a = here
    }
  }

  private mutating func emitRepeated(
    _ node: RegexNode, _ minimum: Int, _ maximum: Int?, _ greed: RegexNode.Greed
  ) throws {
    if case .set(let set) = node, greed != .lazy {
      add(greed == .greedy ? .greedy : .possessive, number(of: set), minimum, maximum ?? Int(Int32.max))
      return
    }
    if greed == .possessive {
      return try emit(.atomic(.repeated(node, minimum: minimum, maximum: maximum, .greedy)))
    }
    for _ in 0..<minimum { try emit(node) }
    if let maximum {
      var choices: [Int] = []
      for _ in minimum..<maximum {
        choices.append(try emitOptional(node, lazy: greed == .lazy))
      }
      for choice in choices { finish(choice) }
    } else {
      let start = Int(here)
      let choice = try emitOptional(node, lazy: greed == .lazy)
      add(.jump, start)
      finish(choice)
    }
  }

  /// Emits a node that may be left out; `finish` says later where to go without it.
  private mutating func emitOptional(_ node: RegexNode, lazy: Bool) throws -> Int {
    if lazy {
      // First without: jump to the end, and only then, at `b`, the node.
      let choice = add(.choice, byteSet(.empty))
      let exit = add(.jump)
      program.code[choice].b = here
      try emit(node)
      return exit
    }
    let choice = add(.choice, byteSet(node))
    try emit(node)
    return choice
  }

  private mutating func finish(_ index: Int) {
    if program.code[index].operation == .jump { program.code[index].a = here } else { program.code[index].b = here }
  }

  // MARK: - Sets

  private mutating func number(of set: ScalarSet) -> Int {
    if let known = sets.firstIndex(of: set) { return known }
    sets.append(set)
    var index = 0
    for block in UInt32(0)..<UInt32(RegexProgram.blocks) {
      var page: [UInt64] = [0, 0, 0, 0]
      let bounds = block << 8..<(block + 1) << 8
      while index < set.ranges.count && set.ranges[index].upperBound <= bounds.lowerBound { index += 1 }
      var place = index
      while place < set.ranges.count && set.ranges[place].lowerBound < bounds.upperBound {
        for scalar in set.ranges[place].clamped(to: bounds) { page[Int(scalar >> 6 & 3)] |= 1 << UInt64(scalar & 63) }
        place += 1
      }
      if block == 0 { program.ascii += page[..<2] }
      let number = knownPages[page] ?? UInt16(program.words.count / 4)
      if knownPages[page] == nil {
        knownPages[page] = number
        program.words += page
      }
      program.pages.append(number)
    }
    return sets.count - 1
  }

  private mutating func byteSet(_ node: RegexNode) -> Int {
    let (first, canBeEmpty) = Self.first(node)
    let set = canBeEmpty ? .every : first
    if let known = program.byteSets.firstIndex(of: set) { return known }
    program.byteSets.append(set)
    return program.byteSets.count - 1
  }

  /// The bytes that a match of a node can start with, and whether it can be empty.
  private static func first(_ node: RegexNode) -> (bytes: RegexProgram.ByteSet, canBeEmpty: Bool) {
    switch node {
    case .empty, .anchor, .look: return (.init(), true)
    case .set(let set):
      var bytes = RegexProgram.ByteSet()
      for range in set.ranges {
        bytes.insert(lead(range.lowerBound)...lead(range.upperBound - 1))
      }
      return (bytes, false)
    case .sequence(let nodes):
      var bytes = RegexProgram.ByteSet()
      for node in nodes {
        let next = first(node)
        bytes = bytes.union(next.bytes)
        if !next.canBeEmpty { return (bytes, false) }
      }
      return (bytes, true)
    case .alternatives(let nodes):
      return nodes.map(first).reduce((.init(), false)) { ($0.0.union($1.bytes), $0.1 || $1.canBeEmpty) }
    case .repeated(let node, let minimum, _, _):
      let inner = first(node)
      return (inner.bytes, inner.canBeEmpty || minimum == 0)
    case .atomic(let node): return first(node)
    }
  }

  private static func lead(_ scalar: UInt32) -> UInt8 {
    switch scalar {
    case 0..<0x80: UInt8(scalar)
    case 0x80..<0x800: 0xC0 | UInt8(scalar >> 6)
    case 0x800..<0x10000: 0xE0 | UInt8(scalar >> 12)
    default: 0xF0 | UInt8(scalar >> 18)
    }
  }
}
