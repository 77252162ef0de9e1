import PromptTuning

/// Documents as tokens end to end with the end token after each, cut into sequences of one length.
///
/// A sequence reads `length` tokens and predicts the token after each of them, so neighbours share one token and every
/// token but the first is predicted once. The last sequence may be shorter. Tokens are kept in 16 bits where the
/// vocabulary allows; texts are not kept.
public final class TokenSequences: TrainingData {
  /// Tokens that a sequence reads.
  public let length: Int
  public let fingerprint: UInt32
  /// Documents that were read.
  public let documentCount: Int
  private let tokens: TokenStore
  /// Where each document or piece of one starts: its first token, file and line.
  private let origins: [Origin]

  private struct Origin {
    let firstToken: Int
    let file: Int
    let line: Int
  }

  private let files: [String]

  /// Reads and tokenises files.
  ///
  /// - Throws: `TrainingError` naming file and line, `.noExamples` if there are not even two tokens.
  public init(files: [String], codec: TextCodec, vocabularySize: Int, length: Int) throws {
    precondition(length >= 1, "a sequence reads at least one token")
    var store = TokenStore(vocabularySize: vocabularySize)
    var origins: [Origin] = []
    var checksum = Checksum()
    var documents = 0
    for (number, path) in files.enumerated() {
      let file = try DocumentFile(path: path)
      var isOpen = false
      while let piece = try file.next() {
        origins.append(Origin(firstToken: store.count, file: number, line: piece.line))
        var ids = codec.encode(piece.text)
        if let stray = ids.first(where: { $0 < 0 || Int($0) >= vocabularySize }) {
          throw TrainingError.badLine(
            path: path, line: piece.line,
            reason: "the tokenizer gives token \(stray), outside the model's vocabulary of \(vocabularySize)")
        }
        if piece.endsDocument { ids.append(codec.endToken) }
        isOpen = !piece.endsDocument
        if piece.endsDocument { documents += 1 }
        checksum.add(ids)
        store.append(ids)
      }
      if isOpen {
        store.append([codec.endToken])
        documents += 1
      }
    }
    guard store.count >= 2 else { throw TrainingError.noExamples(path: files.joined(separator: ", ")) }
    self.files = files
    self.length = length
    self.origins = origins
    tokens = store
    documentCount = documents
    fingerprint = checksum.value
  }

  /// Tokens of all documents, end tokens included.
  public var tokenCount: Int { tokens.count }

  public var count: Int { (tokens.count - 1 + length - 1) / length }

  public func example(_ index: Int, epoch: Int) -> EncodedExample {
    let start = index * length
    let end = min(start + length + 1, tokens.count)
    return EncodedExample(
      source: source(of: start), context: tokens[start..<start + 1], target: tokens[start + 1..<end])
  }

  private func source(of token: Int) -> ExampleSource {
    var (low, high) = (0, origins.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if origins[middle].firstToken <= token { low = middle } else { high = middle }
    }
    return ExampleSource(file: files[origins[low].file], line: origins[low].line)
  }
}

/// Token ids in as few bytes as the vocabulary allows.
private struct TokenStore {
  private var narrow: [UInt16] = []
  private var wide: [Int32] = []
  private let isNarrow: Bool

  init(vocabularySize: Int) { isNarrow = vocabularySize <= 1 << 16 }

  var count: Int { isNarrow ? narrow.count : wide.count }

  mutating func append(_ tokens: [Int32]) {
    if isNarrow {
      narrow.append(contentsOf: tokens.lazy.map { UInt16(truncatingIfNeeded: $0) })
    } else {
      wide += tokens
    }
  }

  subscript(_ range: Range<Int>) -> [Int32] {
    isNarrow ? narrow[range].map(Int32.init) : Array(wide[range])
  }
}
