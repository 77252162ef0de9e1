/// Reads the syntax of Oniguruma, in which `tokenizer.json` writes patterns.
///
/// Taken: alternation, groups (all non-capturing in effect), atomic groups, look-ahead and look-behind, greedy, lazy and
/// possessive quantifiers, classes with ranges, nesting and `&&`, `\p{..}`, options `i` and `m`, anchors. Everything
/// else is refused.
struct RegexParser {
  private let pattern: String
  private let scalars: [UInt32]
  private var position = 0
  private var depth = 0
  private static let maximumDepth = 64
  private static let largestCount = 1000

  private struct Options {
    var ignoresCase = false
    /// `.` matches a newline too.
    var dotMatchesNewline = false
  }

  private init(_ pattern: String) {
    self.pattern = pattern
    scalars = pattern.unicodeScalars.map(\.value)
  }

  /// Throws `RegexSyntaxError`.
  static func parse(_ pattern: String) throws -> RegexNode {
    var parser = RegexParser(pattern)
    let node = try parser.readAlternatives(Options())
    guard parser.position == parser.scalars.count else {
      throw parser.refuse("a closing parenthesis without its opening")
    }
    return node
  }

  private func refuse(_ detail: String) -> RegexSyntaxError {
    RegexSyntaxError(pattern: pattern, detail: detail)
  }

  private func peek(_ offset: Int = 0) -> Character? {
    guard position + offset < scalars.count, let scalar = Unicode.Scalar(scalars[position + offset]) else { return nil }
    return Character(scalar)
  }

  private mutating func take(_ character: Character) -> Bool {
    guard peek() == character else { return false }
    position += 1
    return true
  }

  private mutating func take(_ text: String) -> Bool {
    let wanted = text.unicodeScalars.map(\.value)
    guard position + wanted.count <= scalars.count, scalars[position..<position + wanted.count].elementsEqual(wanted)
    else { return false }
    position += wanted.count
    return true
  }

  /// Everything up to a scalar, which is passed over.
  private mutating func text(until end: Character) throws -> String {
    var text = ""
    while let character = peek() {
      position += 1
      if character == end { return text }
      text.append(character)
    }
    throw refuse("\(end) is missing")
  }

  private mutating func readAlternatives(_ options: Options) throws -> RegexNode {
    depth += 1
    defer { depth -= 1 }
    if depth > Self.maximumDepth { throw refuse("nested too deeply") }
    var alternatives = [try readSequence(options)]
    while take("|") { alternatives.append(try readSequence(options)) }
    return alternatives.count == 1 ? alternatives[0] : .alternatives(alternatives)
  }

  private mutating func readSequence(_ options: Options) throws -> RegexNode {
    var nodes: [RegexNode] = []
    // The literal in front, where case does not count: two letters may be one scalar then.
    var previous: UInt32?
    while let character = peek(), character != "|", character != ")" {
      if let isolated = try readIsolatedOptions(options) {
        // What follows an option, its alternatives too, belongs to it.
        nodes.append(try readAlternatives(isolated))
        break
      }
      let start = position
      var node = try readAtom(options)
      let literal = position == start + 1 && !"[(.^$".contains(character) ? scalars[start] : nil
      if options.ignoresCase, let literal, let before = previous { try checkFolds(before, literal) }
      previous = literal
      node = try readQuantifiers(node)
      nodes.append(node)
    }
    return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
  }

  private func checkFolds(_ first: UInt32, _ second: UInt32) throws {
    let lowered = [first, second].map { $0 >= 0x41 && $0 <= 0x5A ? $0 + 0x20 : $0 }
    let isMark = second == 0x2BC || second == 0x2BE || (0x300..<0x370).contains(second)
    let isForeign =
      first >= 0x370 && second >= 0x370
      && [first, second].allSatisfy {
        RegexProperties.ignoringCase($0).single == nil
      }
    if RegexProperties.manyFoldPairs.contains(lowered) || isMark || isForeign || first == 0x2BC {
      throw refuse("letters that one character stands for where case does not count")
    }
  }

  // MARK: - Quantifiers

  private mutating func readQuantifiers(_ node: RegexNode) throws -> RegexNode {
    var node = node
    while let (minimum, maximum, isInterval) = try readCount() {
      var greed = RegexNode.Greed.greedy
      if peek() == "?" {
        if isInterval && minimum == maximum { throw refuse("a question mark behind a fixed count") }
        position += 1
        greed = .lazy
      } else if !isInterval && take("+") {
        greed = .possessive
      }
      switch node {
      case .anchor, .look: throw refuse("a quantifier of something without width")
      default: break
      }
      if maximum == nil && node.length.minimum == 0 { throw refuse("an endless loop over what may be empty") }
      node = .repeated(node, minimum: minimum, maximum: maximum, greed)
    }
    return node
  }

  private mutating func readCount() throws -> (minimum: Int, maximum: Int?, isInterval: Bool)? {
    if take("?") { return (0, 1, false) }
    if take("*") { return (0, nil, false) }
    if take("+") { return (1, nil, false) }
    guard peek() == "{" else { return nil }
    let start = position
    position += 1
    let minimum = readNumber()
    var maximum = minimum
    if take(",") {
      maximum = readNumber()
      if minimum == nil && maximum == nil { throw refuse("a brace that opens no count") }
    }
    guard take("}"), minimum != nil || maximum != nil else {
      position = start
      throw refuse("a brace that opens no count")
    }
    let low = minimum ?? 0
    if low > Self.largestCount || maximum ?? 0 > Self.largestCount {
      throw refuse("a count above \(Self.largestCount)")
    }
    if let maximum, maximum < low { throw refuse("a count that ends before it begins") }
    return (low, maximum, true)
  }

  private mutating func readNumber() -> Int? {
    var value: Int?
    while let digit = peek()?.wholeNumberValue, peek()?.isASCII == true {
      value = min((value ?? 0) * 10 + digit, 1 << 20)
      position += 1
    }
    return value
  }

  // MARK: - Atoms

  /// Options for the rest of the group, such as `(?i)`.
  ///
  /// Nil, with nothing read, for anything else.
  private mutating func readIsolatedOptions(_ options: Options) throws -> Options? {
    guard peek() == "(", peek(1) == "?", let next = peek(2), "im-".contains(next) else { return nil }
    let start = position
    position += 2
    let changed = try readOptions(options)
    if take(")") { return changed }
    position = start
    return nil
  }

  private mutating func readOptions(_ options: Options) throws -> Options {
    var options = options
    var value = true
    while let character = peek(), character != ":", character != ")" {
      switch character {
      case "i": options.ignoresCase = value
      case "m": options.dotMatchesNewline = value
      case "-": value = false
      default: throw refuse("the option \(character)")
      }
      position += 1
    }
    return options
  }

  private mutating func readAtom(_ options: Options) throws -> RegexNode {
    guard let character = peek() else { return .empty }
    position += 1
    switch character {
    case "(": return try readGroup(options)
    case "[": return .set(try readClass(options))
    case ".": return .set(options.dotMatchesNewline ? .every : RegexProperties.newline.inverted)
    case "^": return .anchor(.lineStart)
    case "$": return .anchor(.lineEnd)
    case "\\": return try readEscape(options)
    case "*", "+", "?": throw refuse("a quantifier of nothing")
    default: return try literal(scalars[position - 1], options)
    }
  }

  private func literal(_ scalar: UInt32, _ options: Options) throws -> RegexNode {
    guard options.ignoresCase else { return .set(ScalarSet([scalar])) }
    if RegexProperties.manyFolds.contains(scalar) {
      throw refuse("a letter that stands for two where case does not count")
    }
    return .set(RegexProperties.ignoringCase(scalar))
  }

  private mutating func readGroup(_ options: Options) throws -> RegexNode {
    var wrap: (RegexNode) -> RegexNode = { $0 }
    var inner = options
    if take("?") {
      if take(":") {
      } else if take("=") {
        wrap = { .look($0, ahead: true, negated: false) }
      } else if take("!") {
        wrap = { .look($0, ahead: true, negated: true) }
      } else if take("<=") {
        wrap = { .look($0, ahead: false, negated: false) }
      } else if take("<!") {
        wrap = { .look($0, ahead: false, negated: true) }
      } else if take(">") {
        wrap = { .atomic($0) }
      } else if take("#") {
        _ = try text(until: ")")
        return .empty
      } else if take("<") {
        _ = try text(until: ">")
      } else {
        inner = try readOptions(options)
        guard take(":") else { throw refuse("a group of an unknown kind") }
      }
    }
    let node = try readAlternatives(inner)
    guard take(")") else { throw refuse("a closing parenthesis is missing") }
    let result = wrap(node)
    if case .look(let inside, ahead: false, _) = result {
      if inside.length.maximum == nil { throw refuse("look-behind without bound") }
      if inside.hasAssertions { throw refuse("an anchor or look-around inside look-behind") }
    }
    return result
  }

  private mutating func readEscape(_ options: Options) throws -> RegexNode {
    switch peek() {
    case "A":
      position += 1
      return .anchor(.textStart)
    case "z":
      position += 1
      return .anchor(.textEnd)
    case "Z":
      position += 1
      return .anchor(.textEndOrNewline)
    // The reference takes other characters for words here than `\w` does.
    case "b", "B": throw refuse("a word boundary")
    default: break
    }
    let set = try readEscapedSet()
    if let scalar = set.single { return try literal(scalar, options) }
    return .set(try withoutCase(set, options))
  }

  private func withoutCase(_ set: ScalarSet, _ options: Options) throws -> ScalarSet {
    if options.ignoresCase && RegexProperties.dependsOnCase(set) {
      throw refuse("a class of letters where case does not count")
    }
    return set
  }

  /// What a backslash, already read, and the characters behind it stand for.
  private mutating func readEscapedSet() throws -> ScalarSet {
    guard let character = peek() else { throw refuse("a backslash at the end") }
    position += 1
    switch character {
    case "d": return RegexProperties.digits
    case "D": return RegexProperties.digits.inverted
    case "s": return RegexProperties.whiteSpace
    case "S": return RegexProperties.whiteSpace.inverted
    case "w": return RegexProperties.word
    case "W": return RegexProperties.word.inverted
    case "h": return RegexProperties.hexadecimal
    case "H": return RegexProperties.hexadecimal.inverted
    case "p", "P":
      guard take("{") else { throw refuse("a property without braces") }
      var name = try text(until: "}")
      var inverted = character == "P"
      if name.hasPrefix("^") {
        name.removeFirst()
        inverted.toggle()
      }
      guard let set = RegexProperties.named(name) else { throw refuse("the property \(name)") }
      return inverted ? set.inverted : set
    case "t": return ScalarSet([UInt32(9)])
    case "n": return ScalarSet([UInt32(10)])
    case "v": return ScalarSet([UInt32(11)])
    case "f": return ScalarSet([UInt32(12)])
    case "r": return ScalarSet([UInt32(13)])
    case "a": return ScalarSet([UInt32(7)])
    case "e": return ScalarSet([UInt32(27)])
    case "x":
      if take("{") { return try scalar(try text(until: "}")) }
      let digits = readHexadecimal(2)
      guard let value = UInt32(digits, radix: 16), value < 0x80 else { throw refuse("a byte outside ASCII") }
      return ScalarSet([value])
    case "u":
      let digits = readHexadecimal(4)
      guard digits.count == 4 else { throw refuse("\\u without four digits") }
      return try scalar(digits)
    default:
      let value = scalars[position - 1]
      if character.isLetter || character.isNumber { throw refuse("\\\(character)") }
      return ScalarSet([value])
    }
  }

  private mutating func readHexadecimal(_ count: Int) -> String {
    var digits = ""
    while digits.count < count, let digit = peek(), digit.isASCII, digit.isHexDigit {
      digits.append(digit)
      position += 1
    }
    return digits
  }

  private func scalar(_ digits: String) throws -> ScalarSet {
    guard let value = UInt32(digits, radix: 16), Unicode.Scalar(value) != nil else {
      throw refuse("\(digits) is no character")
    }
    return ScalarSet([value])
  }

  // MARK: - Classes

  /// A class, whose opening bracket is read already.
  private mutating func readClass(_ options: Options) throws -> ScalarSet {
    depth += 1
    defer { depth -= 1 }
    if depth > Self.maximumDepth { throw refuse("nested too deeply") }
    let inverted = take("^")
    if peek() == "]" { throw refuse("a class that starts with a closing bracket") }
    var intersected: ScalarSet?
    var union = ScalarSet.empty
    while true {
      guard let character = peek() else { throw refuse("a closing bracket is missing") }
      if take("]") { break }
      if take("&&") {
        intersected = intersected.map { $0.intersection(union) } ?? union
        union = .empty
      } else if character == "[" {
        position += 1
        union = union.union(peek() == ":" ? try readBracket() : try readClass(options))
      } else {
        union = union.union(try withoutCase(try readRange(), options, literal: true))
      }
    }
    let set = intersected.map { $0.intersection(union) } ?? union
    return inverted ? set.inverted : set
  }

  private func withoutCase(_ set: ScalarSet, _ options: Options, literal: Bool) throws -> ScalarSet {
    guard options.ignoresCase else { return set }
    if let scalar = set.single, !RegexProperties.manyFolds.contains(scalar) {
      return RegexProperties.ignoringCase(scalar)
    }
    return try withoutCase(set, options)
  }

  /// `[:name:]` inside a class.
  private mutating func readBracket() throws -> ScalarSet {
    position += 1
    let inverted = take("^")
    let name = try text(until: ":")
    guard take("]") else { throw refuse("[:\(name)") }
    let set: ScalarSet
    switch name {
    case "digit": set = RegexProperties.digits
    case "space": set = RegexProperties.whiteSpace
    case "word": set = RegexProperties.word
    case "xdigit": set = RegexProperties.hexadecimal
    case "ascii": set = ScalarSet([0..<0x80])
    default: throw refuse("[:\(name):]")
    }
    return inverted ? set.inverted : set
  }

  /// One scalar, a range of them, or an escape, inside a class.
  private mutating func readRange() throws -> ScalarSet {
    let first = try readClassItem()
    guard peek() == "-", let next = peek(1), next != "]" else { return first }
    guard let low = first.single else {
      // A hyphen behind a set of many stands for itself.
      if next == "[" || first.ranges.isEmpty { throw refuse("a range that starts with a class") }
      throw refuse("a hyphen behind a class")
    }
    position += 1
    if next == "[" { throw refuse("a range that ends with a class") }
    guard let high = try readClassItem().single, high >= low else { throw refuse("a range without an order") }
    return ScalarSet([low..<high + 1])
  }

  private mutating func readClassItem() throws -> ScalarSet {
    guard peek() != nil else { throw refuse("a closing bracket is missing") }
    position += 1
    if scalars[position - 1] == UInt32(UInt8(ascii: "\\")) {
      if take("b") { return ScalarSet([UInt32(8)]) }
      return try readEscapedSet()
    }
    return ScalarSet([scalars[position - 1]])
  }
}
