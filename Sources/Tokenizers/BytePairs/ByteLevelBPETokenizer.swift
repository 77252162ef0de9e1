import Synchronization

/// Byte-level byte-pair encoding, as in the GPT-2 family.
///
/// Text is cut at added tokens, split into words, and the bytes of each word are merged by rank. Every text can be
/// encoded, and decoding gives it back byte for byte (where no added token took white space with it).
public final class ByteLevelBPETokenizer: Tokenizer {
  /// The choices around the model.
  struct Settings: Sendable {
    var addedTokens = AddedTokens([])
    /// A space is put in front of every stretch of text that does not start with one.
    var addsPrefixSpace = false
    /// Text is split into words by the GPT-2 pattern; else a stretch of text is one word.
    var splitsWords = true
    /// What special tokens add in front of a text, and behind it.
    var prefix: [Int32] = []
    var suffix: [Int32] = []
    var specialTokens = SpecialTokens()
  }

  private let model: BytePairModel
  private let settings: Settings
  private let classes = UnicodeClasses.shared
  public let vocabularySize: Int

  /// What an encoding needs besides the model: each thread takes one out of the pool, and puts it back warm.
  private struct Workspace: Sendable {
    var cache = WordCache()
    var merger = PairMerger()
    var symbols: [Int32] = []
  }
  private let workspaces = Mutex<[Workspace]>([])

  init(model: BytePairModel, settings: Settings) {
    self.model = model
    self.settings = settings
    vocabularySize =
      model.vocabulary.count
      + settings.addedTokens.tokens.count(where: { model.vocabulary[$0.token.content] == nil })
  }

  public var specialTokens: SpecialTokens { settings.specialTokens }

  public func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    var text = text
    var workspace = workspaces.withLock { $0.popLast() } ?? Workspace()
    var ids: [Int32] = []
    if addSpecialTokens { ids.append(contentsOf: settings.prefix) }
    text.withUTF8 { bytes in
      ids.reserveCapacity(ids.count + bytes.count / 3 + 4)
      for piece in settings.addedTokens.split(bytes, classes: classes) {
        switch piece {
        case .token(let id): ids.append(id)
        case .text(let range): encode(bytes, range, into: &ids, &workspace)
        }
      }
    }
    if addSpecialTokens { ids.append(contentsOf: settings.suffix) }
    workspaces.withLock { $0.append(workspace) }
    return ids
  }

  /// Encodes a stretch of text without added tokens.
  private func encode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, into ids: inout [Int32], _ workspace: inout Workspace
  ) {
    guard settings.addsPrefixSpace && bytes[range.lowerBound] != 0x20 else {
      return encodeWords(bytes, range, into: &ids, &workspace)
    }
    let spaced = [0x20] + bytes[range]
    spaced.withUnsafeBufferPointer { encodeWords($0, 0..<$0.count, into: &ids, &workspace) }
  }

  private func encodeWords(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, into ids: inout [Int32], _ workspace: inout Workspace
  ) {
    let splitter = ByteLevelSplitter(bytes, classes: classes)
    let raw = UnsafeRawBufferPointer(bytes)
    var start = range.lowerBound
    while start < range.upperBound {
      let end = settings.splitsWords ? splitter.endOfPiece(from: start, until: range.upperBound) : range.upperBound
      encodeWord(UnsafeRawBufferPointer(rebasing: raw[start..<end]), into: &ids, &workspace)
      start = end
    }
  }

  @inline(__always)
  private func encodeWord(_ word: UnsafeRawBufferPointer, into ids: inout [Int32], _ workspace: inout Workspace) {
    guard word.count <= WordCache.longestWord else {
      model.encode(word, into: &workspace.symbols, with: &workspace.merger)
      ids.append(contentsOf: workspace.symbols)
      return
    }
    let hash = WordCache.hash(word)
    if workspace.cache.append(word, hash: hash, to: &ids) { return }
    model.encode(word, into: &workspace.symbols, with: &workspace.merger)
    workspace.cache.insert(word, hash: hash, ids: workspace.symbols[...])
    ids.append(contentsOf: workspace.symbols)
  }

  public func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
    var bytes: [UInt8] = []
    for id in ids {
      if skipSpecialTokens && settings.specialTokens.ids.contains(id) { continue }
      if let token = spelling(of: id) { bytes.append(contentsOf: ByteAlphabet.read(token)) }
    }
    return UTF8Scalars.decodeReplacingErrors(bytes)
  }

  private func spelling(of id: Int32) -> [UInt8]? {
    model.vocabulary[id] ?? settings.addedTokens[id]?.content
  }

  public func token(for id: Int32) -> String? {
    spelling(of: id).map { String(decoding: $0, as: UTF8.self) }
  }

  public func id(for token: String) -> Int32? {
    let bytes = [UInt8](token.utf8)
    return settings.addedTokens[bytes] ?? model.vocabulary[bytes]
  }
}
