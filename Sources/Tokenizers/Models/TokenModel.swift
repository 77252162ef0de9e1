/// The model of a tokenizer: a piece of text to ids.
enum TokenModel: Sendable {
  /// Byte-pair encoding of bytes, spelled as printable characters in the vocabulary.
  case bytes(BytePairModel)
  /// Byte-pair encoding of characters.
  case characters(CharacterPairModel)
  case wordPiece(WordPieceModel)
  case unigram(UnigramModel)

  /// What encoding works with, besides the model.
  struct Scratch: Sendable {
    fileprivate var merger = PairMerger()
    fileprivate var unigram = UnigramModel.Scratch()
  }

  var vocabulary: Vocabulary {
    switch self {
    case .bytes(let model): model.vocabulary
    case .characters(let model): model.vocabulary
    case .wordPiece(let model): model.vocabulary
    case .unigram(let model): model.vocabulary
    }
  }

  /// A character in front of which a piece can be cut without changing its ids.
  var boundary: UInt32? {
    if case .characters(let model) = self { return model.boundary }
    return nil
  }

  /// Encodes one piece of well-formed UTF-8, not empty, into `symbols`, which is overwritten.
  func encode(_ word: UnsafeRawBufferPointer, into symbols: inout [Int32], with scratch: inout Scratch) {
    switch self {
    case .bytes(let model): model.encode(word, into: &symbols, with: &scratch.merger)
    case .characters(let model): model.encode(word, into: &symbols, with: &scratch.merger)
    case .wordPiece(let model): model.encode(word, into: &symbols)
    case .unigram(let model): model.encode(word, into: &symbols, with: &scratch.unigram)
    }
  }
}
