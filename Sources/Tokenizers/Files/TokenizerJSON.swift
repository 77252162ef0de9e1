/// `tokenizer.json`, the format of Hugging Face tokenizers.
///
/// What splits and merges text is read strictly: a component, a type or a key that is not implemented is refused by
/// name.
struct TokenizerJSON {
  private let file: JSONFile
  private let root: JSONValue

  init(_ file: JSONFile) {
    self.file = file
    root = file.root
  }

  /// The tokenizer that the file describes, with the roles that the files beside it give.
  ///
  /// `truncation` and `padding` are left aside: encoding a single text with neither asked for applies neither.
  func tokenizer(_ settings: CheckpointSettings) throws -> ByteLevelBPETokenizer {
    try checkKeys(
      root, "",
      [
        "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
        "model",
      ])
    try checkNormalizer()
    var result = ByteLevelBPETokenizer.Settings()
    let preTokenizer = try only("pre_tokenizer", "pretokenizers", "ByteLevel")
    try checkKeys(preTokenizer, "pre_tokenizer.", ["type", "add_prefix_space", "trim_offsets", "use_regex"])
    result.addsPrefixSpace =
      try settings.addsPrefixSpace ?? file.bool(preTokenizer, "add_prefix_space", "pre_tokenizer.") ?? false
    result.splitsWords = try file.bool(preTokenizer, "use_regex", "pre_tokenizer.") ?? true
    _ = try only("decoder", "decoders", "ByteLevel")

    let model = try readModel()
    var list = AddedTokenList(vocabulary: model.vocabulary)
    try readAddedTokens(into: &list)
    var specialTokens = try settings.specialTokens(adding: &list, defaultsToGPT2: false)
    specialTokens.ids = Set(list.entries.filter(\.token.special).map(\.id))
    result.specialTokens = specialTokens
    result.addedTokens = AddedTokens(list.entries)
    (result.prefix, result.suffix) = try PostProcessor(file).affixes
    return ByteLevelBPETokenizer(model: model, settings: result)
  }

  private func checkKeys(_ object: JSONValue, _ place: String, _ known: Set<String>) throws {
    for member in try file.members(object, place) {
      let key = String(decoding: member.key, as: UTF8.self)
      if !known.contains(key) { throw file.unsupported("\(place)\(key)", "the key \"\(key)\"") }
    }
  }

  private func checkNormalizer() throws {
    guard let normalizer = root["normalizer"], !normalizer.isNull else { return }
    let type = try file.string(normalizer, "type", "normalizer.") ?? "without a type"
    if type == "Sequence", try file.array(normalizer, "normalizers", "normalizer.")?.isEmpty == true { return }
    throw file.unsupported("normalizer", "the normalizer \(type)")
  }

  /// The component of a kind, of the one type that is implemented; a sequence of one counts as that one.
  private func only(_ key: String, _ elements: String, _ type: String) throws -> JSONValue {
    guard let component = root[key], !component.isNull else { throw file.unsupported(key, "no \(key)") }
    let found = try file.string(component, "type", "\(key).")
    if found == type { return component }
    if found == "Sequence", let list = try file.array(component, elements, "\(key).") {
      if list.count == 1, try file.string(list[0], "type", "\(key).\(elements)[0].") == type { return list[0] }
      let types = list.map { element in
        if case .string(let name)? = element["type"]?.content { return String(decoding: name, as: UTF8.self) }
        return "?"
      }
      throw file.unsupported(key, "the sequence \(types.joined(separator: ", "))")
    }
    throw file.unsupported(key, "the \(key) \(found ?? "without a type")")
  }

  private func readModel() throws -> BytePairModel {
    guard let model = root["model"] else { throw file.invalid("model", "is missing") }
    // Older files name no type; merges tell a byte-pair model.
    let type = try file.string(model, "type", "model.") ?? (model["merges"] == nil ? "without a type" : "BPE")
    guard type == "BPE" else { throw file.unsupported("model", "the model \(type)") }
    try checkKeys(
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
    if try file.bool(model, "byte_fallback", "model.") == true {
      throw file.unsupported("model.byte_fallback", "byte fallback")
    }
    guard let vocab = model["vocab"] else { throw file.invalid("model.vocab", "is missing") }
    guard let merges = try file.array(model, "merges", "model.") else {
      throw file.invalid("model.merges", "is missing")
    }
    var result = BytePairModel(
      vocabulary: try Vocabulary(vocab, file: file, place: "model.vocab"), mergeCount: merges.count)
    result.fusesUnknown = try file.bool(model, "fuse_unk", "model.") ?? false
    result.ignoresMerges = try file.bool(model, "ignore_merges", "model.") ?? false
    if let unknown = try file.bytes(model, "unk_token", "model.") {
      result.unknownID = result.vocabulary[unknown]
      if result.unknownID == nil && result.byteIDs.contains(-1) {
        throw file.invalid(
          "model.unk_token", "the vocabulary has no token \"\(String(decoding: unknown, as: UTF8.self))\"")
      }
    }
    try readMerges(merges, into: &result)
    return result
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

  private func readAddedTokens(into list: inout AddedTokenList) throws {
    var ids: Set<Int32> = []
    for (index, element) in (try file.array(root, "added_tokens", "") ?? []).enumerated() {
      let place = "added_tokens[\(index)]"
      try checkKeys(
        element, "\(place).", ["id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"])
      guard let value = element["id"] else { throw file.invalid(place, "has no id") }
      let id = try file.id(value, "\(place).id")
      guard ids.insert(id).inserted else { throw file.invalid("\(place).id", "id \(id) comes twice") }
      let token = try AddedToken(element, file: file, place: place, specialDefault: false)
      if list.contains(token.content) { throw file.invalid(place, "the same content comes twice") }
      try list.add(token, stated: id, file: file, place: place)
    }
  }
}
