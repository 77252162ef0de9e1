/// `tokenizer.json`, the format of Hugging Face tokenizers.
///
/// What changes, splits and merges text is read strictly: a component, a type or a key that is not implemented is
/// refused by name.
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
  func tokenizer(_ settings: CheckpointSettings) throws -> PipelineTokenizer {
    try file.checkKeys(
      root, "",
      [
        "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder",
        "model",
      ])
    var parts = PipelineTokenizer.Parts()
    parts.normalizer = try NormalizerFile(file: file).read(root["normalizer"], "normalizer")
    parts.preTokenizer = try PreTokenizerFile(file: file, addsPrefixSpace: settings.addsPrefixSpace)
      .read(root["pre_tokenizer"], "pre_tokenizer")
    try checkFirst(parts)
    parts.decoder = try DecoderFile(file: file).read(root["decoder"], "decoder")
    let isByteLevel = PreTokenization.endsInByteLevel(parts.preTokenizer)
    let model = try ModelFile(file: file, isByteLevel: isByteLevel).read(root["model"])
    var list = AddedTokenList(vocabulary: model.vocabulary)
    try readAddedTokens(into: &list)
    parts.specialTokens = try settings.specialTokens(adding: &list, defaultsToGPT2: false)
    parts.setAddedTokens(list.entries)
    (parts.prefix, parts.suffix) = try PostProcessor(file).affixes
    return PipelineTokenizer(model: model, parts: parts)
  }

  /// A Metaspace that prepends to the first piece only asks where a piece lies in the text as it was given; behind a
  /// step that changes text, that is not known here.
  private func checkFirst(_ parts: PipelineTokenizer.Parts) throws {
    var changes = parts.normalizer != nil
    for step in parts.preTokenizer {
      if case .metaspace(let metaspace) = step {
        if changes && metaspace.prepending == .first {
          throw file.unsupported("pre_tokenizer", "the prepend_scheme first behind a step that changes text")
        }
        changes = true
      } else if case .byteLevel = step {
        changes = true
      }
    }
  }

  private func readAddedTokens(into list: inout AddedTokenList) throws {
    var ids: Set<Int32> = []
    for (index, element) in (try file.array(root, "added_tokens", "") ?? []).enumerated() {
      let place = "added_tokens[\(index)]"
      try file.checkKeys(
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

extension PipelineTokenizer.Parts {
  /// Takes over the added tokens, with what the normaliser makes of those that are looked for behind it.
  mutating func setAddedTokens(_ entries: [AddedTokens.Entry]) {
    var entries = entries
    if let normalizer {
      for index in entries.indices where entries[index].token.normalized {
        let content = entries[index].token.content
        let normalized = normalizer.apply(content)
        if normalized != content { entries[index].token.normalizedContent = normalized }
      }
    }
    specialTokens.ids = Set(entries.filter(\.token.special).map(\.id))
    addedTokens = AddedTokens(entries)
  }
}
