/// The `model` of `tokenizer.json`.
struct ModelFile {
  let file: JSONFile
  /// Whether text comes to the model in the byte alphabet.
  let isByteLevel: Bool

  /// Throws `TokenizerError` for a broken model, a type or a key that is not known.
  func read(_ object: JSONValue?) throws -> TokenModel {
    let model = try file.required(object, "model")
    switch try type(model) {
    case "BPE": return try bytePairs(model)
    case "WordPiece": return .wordPiece(try wordPiece(model))
    case "Unigram": return .unigram(try unigram(model))
    case let other: throw file.unsupported("model", "the model \(other)")
    }
  }

  /// Older files name no type; their keys tell it.
  private func type(_ model: JSONValue) throws -> String {
    if let type = try file.string(model, "type", "model.") { return type }
    if model["merges"] != nil { return "BPE" }
    if model["max_input_chars_per_word"] != nil { return "WordPiece" }
    return model["unk_id"] != nil ? "Unigram" : "without a type"
  }

  // MARK: - Byte pairs

  private func bytePairs(_ model: JSONValue) throws -> TokenModel {
    try file.checkKeys(
      model, "model.",
      [
        "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
        "ignore_merges", "vocab", "merges",
      ])
    if let dropout = model["dropout"], !dropout.isNull {
      guard case .number(let digits) = dropout.content, Double(String(decoding: digits, as: UTF8.self)) == 0 else {
        throw file.unsupported("model.dropout", "dropout of merges")
      }
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if try file.bytes(model, key, "model.")?.isEmpty == false { throw file.unsupported("model.\(key)", "a \(key)") }
    }
    let vocab = try file.required(model["vocab"], "model.vocab")
    let merges = try file.required(try file.array(model, "merges", "model."), "model.merges")
    var result = BytePairModel(
      vocabulary: try Vocabulary(vocab, file: file, place: "model.vocab"), mergeCount: merges.count)
    result.fusesUnknown = try file.bool(model, "fuse_unk", "model.") ?? false
    result.ignoresMerges = try file.bool(model, "ignore_merges", "model.") ?? false
    let byteFallback = try file.bool(model, "byte_fallback", "model.") ?? false
    let takesBytes = isByteLevel && (!byteFallback || !result.byteIDs.contains(-1))
    if let unknown = try file.bytes(model, "unk_token", "model.") {
      result.unknownID = result.vocabulary[unknown]
      if result.unknownID == nil && !(takesBytes && !result.byteIDs.contains(-1)) {
        throw file.invalid(
          "model.unk_token", "the vocabulary has no token \"\(String(decoding: unknown, as: UTF8.self))\"")
      }
    }
    try readMerges(merges, into: &result)
    return takesBytes ? .bytes(result) : .characters(CharacterPairModel(result, byteFallback: byteFallback))
  }

  /// A merge is a pair of tokens, or in older files one string with a space between them.
  private func readMerges(_ merges: [JSONValue], into model: inout BytePairModel) throws {
    var rank = 0
    for (index, merge) in merges.enumerated() {
      let pair: (left: [UInt8], right: [UInt8])?
      switch merge.content {
      case .string(let line):
        if line.starts(with: Array("#version".utf8)) { continue }
        pair = VocabularyAndMerges.pair(line)
      case .array(let elements):
        if elements.count == 2, case .string(let left) = elements[0].content,
          case .string(let right) = elements[1].content
        {
          pair = (left, right)
        } else {
          pair = nil
        }
      default: pair = nil
      }
      guard let pair else { throw file.invalid("model.merges[\(index)]", "is not a pair of tokens") }
      if let missing = model.addMerge(pair.left, pair.right, rank: rank) {
        throw file.invalid(
          "model.merges[\(index)]", "the vocabulary has no token \"\(String(decoding: missing, as: UTF8.self))\"")
      }
      rank += 1
    }
  }

  // MARK: - WordPiece and Unigram

  private func wordPiece(_ model: JSONValue) throws -> WordPieceModel {
    try file.checkKeys(
      model, "model.", ["type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"])
    let vocabulary = try Vocabulary(
      try file.required(model["vocab"], "model.vocab"), file: file, place: "model.vocab")
    try checkSize(vocabulary)
    let unknown = try file.required(try file.bytes(model, "unk_token", "model."), "model.unk_token")
    guard let unknownID = vocabulary[unknown] else {
      throw file.invalid(
        "model.unk_token", "the vocabulary has no token \"\(String(decoding: unknown, as: UTF8.self))\"")
    }
    return WordPieceModel(
      vocabulary: vocabulary, unknownID: unknownID,
      prefix: try file.bytes(model, "continuing_subword_prefix", "model.") ?? Array("##".utf8),
      longestWord: try file.count(model, "max_input_chars_per_word", "model.") ?? 100)
  }

  private func checkSize(_ vocabulary: Vocabulary) throws {
    if !vocabulary.fitsTrie { throw file.unsupported("model.vocab", "a vocabulary of 16 MiB of tokens") }
  }

  private func unigram(_ model: JSONValue) throws -> UnigramModel {
    try file.checkKeys(model, "model.", ["type", "unk_id", "vocab", "byte_fallback"])
    let entries = try file.required(try file.array(model, "vocab", "model."), "model.vocab")
    var vocabulary = Vocabulary(capacity: entries.count)
    var scores: [Double] = []
    scores.reserveCapacity(entries.count)
    for (index, entry) in entries.enumerated() {
      guard case .array(let pair) = entry.content, pair.count == 2, case .string(let token) = pair[0].content,
        case .number(let digits) = pair[1].content, let score = Double(String(decoding: digits, as: UTF8.self))
      else { throw file.invalid("model.vocab[\(index)]", "is not a pair of token and score") }
      vocabulary.insert(token, id: Int32(index))
      scores.append(score)
    }
    try checkSize(vocabulary)
    guard let unknown = try file.count(model, "unk_id", "model.") else {
      throw file.unsupported("model.unk_id", "no unknown token")
    }
    guard unknown < scores.count else { throw file.invalid("model.unk_id", "\(unknown) is outside the vocabulary") }
    return UnigramModel(
      vocabulary: vocabulary, scores: scores, unknownID: Int32(unknown),
      byteFallback: try file.bool(model, "byte_fallback", "model.") ?? false)
  }
}
