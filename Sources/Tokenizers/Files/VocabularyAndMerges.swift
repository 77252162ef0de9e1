import Foundation

/// The older pair of files: `vocab.json` (token to id) and `merges.txt` (a merge a line, best first).
enum VocabularyAndMerges {
  static func tokenizer(
    _ vocabularyFile: URL, _ mergesFile: URL, _ settings: CheckpointSettings
  ) throws -> PipelineTokenizer {
    let file = try JSONFile(vocabularyFile)
    let vocabulary = try Vocabulary(file.root, file: file, place: "")
    let model = try model(vocabulary, mergesFile)
    var list = AddedTokenList(vocabulary: vocabulary)
    let specialTokens = try settings.specialTokens(adding: &list, defaultsToGPT2: true)
    // The GPT-2 tokenizer class registers its tokens, so that they are found in text.
    for token in [specialTokens.begin, specialTokens.end, specialTokens.unknown].compactMap(\.self) {
      let content = Array(token.content.utf8)
      if !list.contains(content) { try list.add(.special(content), stated: nil, file: file, place: token.content) }
    }
    var parts = PipelineTokenizer.Parts()
    parts.preTokenizer = [.byteLevel(addsPrefixSpace: settings.addsPrefixSpace ?? false, splitsWords: true)]
    parts.decoder = .byteLevel
    if settings.addsBegin == true, let begin = specialTokens.begin { parts.prefix = [begin.id] }
    if settings.addsEnd == true, let end = specialTokens.end { parts.suffix = [end.id] }
    parts.specialTokens = specialTokens
    parts.setAddedTokens(list.entries)
    return PipelineTokenizer(model: .bytes(model), parts: parts)
  }

  /// Lines end in LF or CRLF; a line that starts with `#version` is no merge.
  private static func model(_ vocabulary: Vocabulary, _ mergesFile: URL) throws -> BytePairModel {
    let bytes = try JSONFile.bytes(of: mergesFile)
    let path = mergesFile.path
    if let offset = firstInvalid(bytes) {
      let place = JSONReader.place(of: offset, in: bytes)
      throw TokenizerError.syntax(
        file: path, line: place.line, column: place.column, detail: "a byte that is not UTF-8")
    }
    var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    var model = BytePairModel(vocabulary: vocabulary, mergeCount: lines.count)
    var rank = 0
    for (index, line) in lines.enumerated() {
      if line.starts(with: Array("#version".utf8)) { continue }
      let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      guard let (left, right) = pair(line) else {
        throw TokenizerError.syntax(
          file: path, line: index + 1, column: 1, detail: "expected two tokens with a space between them")
      }
      if let missing = model.addMerge(left, right, rank: rank) {
        throw TokenizerError.invalid(
          file: path, place: "line \(index + 1)",
          detail: "the vocabulary has no token \"\(String(decoding: missing, as: UTF8.self))\"")
      }
      rank += 1
    }
    return model
  }

  /// The two tokens of a merge written with one space between them.
  static func pair(_ line: some Collection<UInt8>) -> (left: [UInt8], right: [UInt8])? {
    let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
    return parts.count == 2 ? (Array(parts[0]), Array(parts[1])) : nil
  }

  private static func firstInvalid(_ bytes: [UInt8]) -> Int? {
    bytes.withUnsafeBufferPointer { buffer in
      var position = 0
      while position < buffer.count {
        let element = UTF8Scalars.element(in: buffer, at: position)
        if element.scalar == nil { return position }
        position += element.length
      }
      return nil
    }
  }
}
