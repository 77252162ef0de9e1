import Foundation

/// Opens the tokenizer of a checkpoint's directory.
public enum TokenizerFiles {
  /// The tokenizer that the files of `directory` describe.
  ///
  /// `tokenizer.json` comes first, else `vocab.json` with `merges.txt`, `vocab.txt`, or a SentencePiece model. Roles of special tokens, and further added
  /// tokens, come from `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` where they are
  /// present.
  ///
  /// Throws `TokenizerError` for files that are missing, broken or contradict themselves, and for anything they ask
  /// for that is not implemented: ids that a checkpoint was not trained on would be worse than none.
  public static func load(directory: URL) throws -> any Tokenizer {
    let settings = try CheckpointSettings(directory: directory)
    let tokenizerFile = directory.appendingPathComponent("tokenizer.json")
    if exists(tokenizerFile) {
      return try TokenizerJSON(JSONFile(tokenizerFile)).tokenizer(settings)
    }
    let vocabularyFile = directory.appendingPathComponent("vocab.json")
    let mergesFile = directory.appendingPathComponent("merges.txt")
    switch (exists(vocabularyFile), exists(mergesFile)) {
    case (true, true):
      return try VocabularyAndMerges.tokenizer(vocabularyFile, mergesFile, settings)
    case (true, false):
      throw TokenizerError.missing(directory: directory.path, detail: "vocab.json without merges.txt")
    case (false, true):
      throw TokenizerError.missing(directory: directory.path, detail: "merges.txt without vocab.json")
    case (false, false):
      let wordPieces = directory.appendingPathComponent("vocab.txt")
      if exists(wordPieces) { return try WordPieceVocabularyFile.tokenizer(wordPieces, settings) }
      if let model = SentencePieceFile.names.map(directory.appendingPathComponent).first(where: exists) {
        return try SentencePieceFile.tokenizer(model, settings)
      }
      throw TokenizerError.missing(
        directory: directory.path,
        detail: "no tokenizer here (tokenizer.json, vocab.json with merges.txt, vocab.txt, or spiece.model)")
    }
  }

  /// The tokenizer of a single `tokenizer.json`, whatever its name; files beside it count only if they have their own
  /// names.
  public static func load(file: URL) throws -> any Tokenizer {
    let settings = try CheckpointSettings(directory: file.deletingLastPathComponent())
    return try TokenizerJSON(JSONFile(file)).tokenizer(settings)
  }

  static func exists(_ url: URL) -> Bool {
    FileManager.default.fileExists(atPath: url.path)
  }
}
