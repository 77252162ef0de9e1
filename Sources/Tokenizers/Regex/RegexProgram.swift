/// A compiled regular expression: instructions, and the sets that they refer to.
struct RegexProgram: Sendable {
  enum Operation: UInt8, Sendable {
    /// The byte `a`.
    case byte
    /// One scalar of set `a`.
    case set
    /// Between `b` and `c` scalars of set `a`, as many as there are; gives some back where the rest needs it.
    case greedy
    /// The same, and gives nothing back.
    case possessive
    /// Goes on behind here; later, if that fails, at `b`. Where the next byte is not in byte set `a`, at once at `b`.
    case choice
    case jump
    case anchor
    /// The code behind here, up to its `accept`, in look-around `b`; then at `a`.
    case look
    /// The code behind here, up to its `accept`, without giving back; then at `a`.
    case atomic
    case accept
  }

  struct Instruction: Sendable {
    var operation: Operation
    var a: Int32 = 0
    var b: Int32 = 0
    var c: Int32 = 0
  }

  struct Look: Sendable {
    let ahead: Bool
    let negated: Bool
    /// For look-behind: the numbers of scalars that it may have.
    let minimum: Int
    let maximum: Int
  }

  /// A set of bytes.
  struct ByteSet: Sendable, Equatable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static func == (one: ByteSet, other: ByteSet) -> Bool { one.words == other.words }

    static let every: ByteSet = {
      var set = ByteSet()
      set.insert(0...255)
      return set
    }()

    init() {}

    mutating func insert(_ bytes: ClosedRange<UInt8>) {
      for byte in bytes {
        let bit: UInt64 = 1 << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
      }
    }

    func union(_ other: ByteSet) -> ByteSet {
      var result = self
      result.words.0 |= other.words.0
      result.words.1 |= other.words.1
      result.words.2 |= other.words.2
      result.words.3 |= other.words.3
      return result
    }

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
      let word: UInt64
      switch byte >> 6 {
      case 0: word = words.0
      case 1: word = words.1
      case 2: word = words.2
      default: word = words.3
      }
      return word >> UInt64(byte & 63) & 1 != 0
    }
  }

  var code: [Instruction] = []
  var looks: [Look] = []
  var byteSets: [ByteSet] = []
  /// The bytes that a match can start with; `every` where it can be empty.
  var first = ByteSet.every
  /// For each set, two words of bits for ASCII.
  var ascii: [UInt64] = []
  /// For each set and each block of 256 scalars, the number of a page of four words.
  var pages: [UInt16] = []
  var words: [UInt64] = []

  static let blocks = 0x1100

  /// Compiles a pattern.
  ///
  /// Throws `RegexSyntaxError` for one that is broken or asks for what the engine does not have.
  init(_ pattern: String) throws {
    let node = try RegexParser.parse(pattern)
    var compiler = RegexCompiler(pattern)
    self = try compiler.compile(node)
  }

  init() {}
}
