import Foundation

/// `vocab.txt`, the older file of BERT's family: a token a line, whose ids count from 0.
enum WordPieceVocabularyFile {
  /// The tokenizer, with BERT's normaliser and special tokens where `tokenizer_config.json` says nothing else.
  ///
  /// Throws `TokenizerError`.
  static func tokenizer(_ url: URL, _ settings: CheckpointSettings) throws -> PipelineTokenizer {
    let bytes = try JSONFile.bytes(of: url)
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw TokenizerError.invalid(file: url.path, place: "text", detail: "is not UTF-8")
    }
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    var vocabulary = Vocabulary(capacity: lines.count)
    for (index, line) in lines.enumerated() {
      vocabulary.insert(Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line), id: Int32(index))
    }
    if !vocabulary.fitsTrie {
      throw TokenizerError.unsupported(file: url.path, place: "tokens", detail: "a vocabulary of 16 MiB of tokens")
    }
    func id(_ role: String, _ fallback: String) throws -> Int32 {
      let content = settings.content(of: role) ?? Array(fallback.utf8)
      guard let id = vocabulary[content] else {
        throw TokenizerError.invalid(
          file: url.path, place: role, detail: "there is no token \"\(String(decoding: content, as: UTF8.self))\"")
      }
      return id
    }
    let defaults = [
      ("unk_token", "[UNK]"), ("sep_token", "[SEP]"), ("pad_token", "[PAD]"), ("cls_token", "[CLS]"),
      ("mask_token", "[MASK]"),
    ]
    var parts = PipelineTokenizer.Parts()
    parts.normalizer = .bert(settings.bertNormalizer)
    parts.preTokenizer = [.bert]
    parts.decoder = .wordPiece(prefix: Array("##".utf8), cleansUp: true)
    parts.prefix = [try id("cls_token", "[CLS]")]
    parts.suffix = [try id("sep_token", "[SEP]")]
    var list = AddedTokenList(vocabulary: vocabulary)
    parts.specialTokens = try settings.specialTokens(adding: &list, defaults: defaults, file: url.path)
    parts.setAddedTokens(list.entries)
    let model = WordPieceModel(
      vocabulary: vocabulary, unknownID: try id("unk_token", "[UNK]"), prefix: Array("##".utf8), longestWord: 100)
    return PipelineTokenizer(model: .wordPiece(model), parts: parts)
  }
}
