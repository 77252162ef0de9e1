/// The post-processor of `tokenizer.json`: the special tokens around a single text.
struct PostProcessor {
  /// The ids in front of a text, and behind it.
  typealias Affixes = (prefix: [Int32], suffix: [Int32])

  private let file: JSONFile
  /// What the file's `post_processor` adds; empty where it has none.
  private(set) var affixes: Affixes = ([], [])

  /// Reads the `post_processor` of a file.
  ///
  /// Throws `TokenizerError.unsupported` for a type that is not implemented.
  init(_ file: JSONFile) throws {
    self.file = file
    guard let processor = file.root["post_processor"], !processor.isNull else { return }
    try read(processor, "post_processor")
  }

  private mutating func read(_ processor: JSONValue, _ place: String) throws {
    let type = try file.string(processor, "type", "\(place).") ?? "without a type"
    switch type {
    case "ByteLevel":
      // It corrects offsets, and adds nothing.
      return
    case "Sequence":
      for (index, element) in (try file.array(processor, "processors", "\(place).") ?? []).enumerated() {
        try read(element, "\(place).processors[\(index)]")
      }
    case "TemplateProcessing":
      try set(template(processor, place), place)
    case "RobertaProcessing", "BertProcessing":
      try set(([pairID(processor, "cls", place)], [pairID(processor, "sep", place)]), place)
    default:
      throw file.unsupported(place, "the post-processor \(type)")
    }
  }

  private mutating func set(_ affixes: Affixes, _ place: String) throws {
    guard self.affixes.prefix.isEmpty && self.affixes.suffix.isEmpty else {
      throw file.unsupported(place, "a second post-processor that adds tokens")
    }
    self.affixes = affixes
  }

  /// The id in a pair of token and id.
  private func pairID(_ processor: JSONValue, _ key: String, _ place: String) throws -> Int32 {
    guard let pair = try file.array(processor, key, "\(place)."), pair.count == 2 else {
      throw file.invalid("\(place).\(key)", "is not a pair of token and id")
    }
    return try file.id(pair[1], "\(place).\(key)[1]")
  }

  /// The template for one text: special tokens, the text once, special tokens.
  private func template(_ processor: JSONValue, _ place: String) throws -> Affixes {
    guard let single = try file.array(processor, "single", "\(place).") else {
      throw file.invalid("\(place).single", "is missing")
    }
    var affixes: Affixes = ([], [])
    var sequences = 0
    for (index, piece) in single.enumerated() {
      let piecePlace = "\(place).single[\(index)]"
      if let special = piece["SpecialToken"] {
        let ids = try specialIDs(special, processor, place, piecePlace)
        if sequences == 0 { affixes.prefix += ids } else { affixes.suffix += ids }
      } else if let sequence = piece["Sequence"] {
        sequences += 1
        guard sequences == 1, try file.string(sequence, "id", "\(piecePlace).Sequence.") == "A" else {
          throw file.unsupported(piecePlace, "a template other than one text A")
        }
      } else {
        throw file.invalid(piecePlace, "is neither a SpecialToken nor a Sequence")
      }
    }
    guard sequences == 1 else { throw file.unsupported("\(place).single", "a template without the text") }
    return affixes
  }

  private func specialIDs(
    _ special: JSONValue, _ processor: JSONValue, _ place: String, _ piecePlace: String
  ) throws -> [Int32] {
    guard let name = try file.string(special, "id", "\(piecePlace).SpecialToken.") else {
      throw file.invalid("\(piecePlace).SpecialToken.id", "is missing")
    }
    let entryPlace = "\(place).special_tokens.\(name)"
    guard let entry = processor["special_tokens"]?[name], let ids = try file.array(entry, "ids", "\(entryPlace).")
    else {
      throw file.invalid(entryPlace, "is missing")
    }
    return try ids.enumerated().map { try file.id($1, "\(entryPlace).ids[\($0)]") }
  }
}
