import Synchronization

/// A tokenizer of the parts that `tokenizer.json` knows: added tokens, normaliser, pre-tokenizer, model, post-processor
/// and decoder.
///
/// Text is cut at added tokens, normalised, split into pieces, and each piece is encoded by the model; words that came
/// before are remembered.
public final class PipelineTokenizer: Tokenizer {
  /// The parts around the model.
  struct Parts: Sendable {
    var addedTokens = AddedTokens([])
    var normalizer: Normalizer?
    var preTokenizer: [PreTokenizer] = []
    /// Without a decoder, tokens are joined by spaces.
    var decoder: Decoder?
    /// What special tokens add in front of a text, and behind it.
    var prefix: [Int32] = []
    var suffix: [Int32] = []
    var specialTokens = SpecialTokens()

    /// Parts that put a space in front of each text as GPT-2's pre-tokenizer can.
    func spaced(splitsWords: Bool) -> Parts {
      var parts = self
      parts.preTokenizer = [.byteLevel(addsPrefixSpace: true, splitsWords: splitsWords)]
      return parts
    }
  }

  private let model: TokenModel
  /// The same with a space in front of what it reads; nil where words come without one, or have one anyway.
  private let wordTokenizer: PipelineTokenizer?
  private let parts: Parts
  private let preTokenization: PreTokenization
  /// The UTF-8 form of the character that pieces can be cut in front of, or empty.
  private let boundary: [UInt8]
  public let vocabularySize: Int

  /// What an encoding needs besides the model: each thread takes one out of the pool, and puts it back warm.
  private struct Workspace: Sendable {
    var cache = WordCache()
    var scratch = TokenModel.Scratch()
    var symbols: [Int32] = []
  }
  private let workspaces = Mutex<[Workspace]>([])

  init(model: TokenModel, parts: Parts) {
    self.model = model
    self.parts = parts
    let takesBytes = if case .bytes = model { true } else { false }
    preTokenization = PreTokenization(parts.preTokenizer, leavesBytes: takesBytes)
    boundary = model.boundary.map { UTF8Scalars.encode([$0]) } ?? []
    wordTokenizer =
      if case .byteLevel(addsPrefixSpace: false, let splitsWords) = parts.preTokenizer.first,
        parts.preTokenizer.count == 1
      {
        PipelineTokenizer(model: model, parts: parts.spaced(splitsWords: splitsWords))
      } else { nil }
    let vocabulary = model.vocabulary
    vocabularySize =
      vocabulary.count + parts.addedTokens.tokens.count(where: { vocabulary[$0.token.content] == nil })
  }

  public var specialTokens: SpecialTokens { parts.specialTokens }
  public var affixes: (prefix: [Int32], suffix: [Int32]) { (parts.prefix, parts.suffix) }

  public func encode(_ text: String, addSpecialTokens: Bool) -> [Int32] {
    var text = text
    var workspace = workspaces.withLock { $0.popLast() } ?? Workspace()
    var ids: [Int32] = []
    if addSpecialTokens { ids.append(contentsOf: parts.prefix) }
    text.withUTF8 { bytes in
      ids.reserveCapacity(ids.count + bytes.count / 3 + 4)
      for piece in parts.addedTokens.split(bytes, 0..<bytes.count, .beforeNormalizing) {
        switch piece {
        case .token(let id): ids.append(id)
        case .text(let range): encode(bytes, range, into: &ids, &workspace)
        }
      }
    }
    if addSpecialTokens { ids.append(contentsOf: parts.suffix) }
    workspaces.withLock { $0.append(workspace) }
    return ids
  }

  public func encode(words: [String]) -> [[Int32]] {
    let tokenizer = wordTokenizer ?? self
    return words.map { tokenizer.encode($0, addSpecialTokens: false) }
  }

  /// Encodes a stretch of text as it was given.
  private func encode(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, into ids: inout [Int32], _ workspace: inout Workspace
  ) {
    let isStart = range.lowerBound == 0
    if let normalizer = parts.normalizer,
      let normalized = normalizer.apply(UnsafeBufferPointer(rebasing: bytes[range]))
    {
      normalized.withUnsafeBufferPointer {
        encodeNormalized($0, 0..<$0.count, isStart: isStart, into: &ids, &workspace)
      }
    } else {
      encodeNormalized(bytes, range, isStart: isStart, into: &ids, &workspace)
    }
  }

  private func encodeNormalized(
    _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, isStart: Bool, into ids: inout [Int32],
    _ workspace: inout Workspace
  ) {
    for piece in parts.addedTokens.split(bytes, range, .afterNormalizing) {
      switch piece {
      case .token(let id): ids.append(id)
      case .text(let text):
        preTokenization.forPieces(of: bytes, text, isStart: isStart && text.lowerBound == range.lowerBound) {
          bytes, pieces in
          let raw = UnsafeRawBufferPointer(bytes)
          for piece in pieces {
            let word = UnsafeRawBufferPointer(rebasing: raw[piece])
            if boundary.isEmpty {
              encodeWord(word, into: &ids, &workspace)
            } else {
              encodeParts(word, into: &ids, &workspace)
            }
          }
        }
      }
    }
  }

  /// Cuts a piece wherever that changes nothing, so that its parts are found among the words that came before.
  private func encodeParts(_ piece: UnsafeRawBufferPointer, into ids: inout [Int32], _ workspace: inout Workspace) {
    func isBoundary(_ position: Int) -> Bool {
      guard piece[position] == boundary[0], position + boundary.count <= piece.count else { return false }
      for offset in 1..<boundary.count where piece[position + offset] != boundary[offset] { return false }
      return true
    }
    var start = 0
    var position = 0
    while position < piece.count {
      if isBoundary(position) {
        if position > start {
          encodeWord(UnsafeRawBufferPointer(rebasing: piece[start..<position]), into: &ids, &workspace)
          start = position
        }
        repeat { position += boundary.count } while position < piece.count && isBoundary(position)
      } else {
        position += 1
      }
    }
    if start < piece.count {
      encodeWord(UnsafeRawBufferPointer(rebasing: piece[start...]), into: &ids, &workspace)
    }
  }

  @inline(__always)
  private func encodeWord(_ word: UnsafeRawBufferPointer, into ids: inout [Int32], _ workspace: inout Workspace) {
    guard word.count <= WordCache.longestWord else {
      model.encode(word, into: &workspace.symbols, with: &workspace.scratch)
      ids.append(contentsOf: workspace.symbols)
      return
    }
    let hash = WordCache.hash(word)
    if workspace.cache.append(word, hash: hash, to: &ids) { return }
    model.encode(word, into: &workspace.symbols, with: &workspace.scratch)
    workspace.cache.insert(word, hash: hash, ids: workspace.symbols[...])
    ids.append(contentsOf: workspace.symbols)
  }

  public func decode(_ ids: [Int32], skipSpecialTokens: Bool) -> String {
    var tokens: [[UInt8]] = []
    tokens.reserveCapacity(ids.count)
    for id in ids {
      if skipSpecialTokens && parts.specialTokens.ids.contains(id) { continue }
      // Decoders undo what the normaliser did, so added tokens come as it would have left them.
      if let token = parts.addedTokens[id]?.pattern ?? model.vocabulary[id] { tokens.append(token) }
    }
    let text: [UInt8]
    if let decoder = parts.decoder {
      text = Array(decoder.apply(tokens).joined())
    } else {
      text = Array(tokens.joined(separator: [0x20]))
    }
    return UTF8Scalars.decodeReplacingErrors(text)
  }

  public func token(for id: Int32) -> String? {
    (parts.addedTokens[id]?.content ?? model.vocabulary[id]).map { String(decoding: $0, as: UTF8.self) }
  }

  public func id(for token: String) -> Int32? {
    let bytes = [UInt8](token.utf8)
    return parts.addedTokens[bytes] ?? model.vocabulary[bytes]
  }
}
