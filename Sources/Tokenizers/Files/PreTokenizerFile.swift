/// The `pre_tokenizer` of `tokenizer.json`.
struct PreTokenizerFile {
  let file: JSONFile
  /// `add_prefix_space` of `tokenizer_config.json`, which counts more than the one of a byte-level step.
  let addsPrefixSpace: Bool?

  /// The steps of an object; none for null.
  ///
  /// Throws `TokenizerError.unsupported` for a type or a key that is not known.
  func read(_ object: JSONValue?, _ place: String) throws -> [PreTokenizer] {
    guard let object, !object.isNull else { return [] }
    let type = try file.required(try file.string(object, "type", "\(place)."), "\(place).type")
    let inside = "\(place)."
    func keys(_ known: String...) throws { try file.checkKeys(object, inside, Set(known + ["type"])) }
    switch type {
    case "ByteLevel":
      try keys("add_prefix_space", "trim_offsets", "use_regex")
      let addsSpace = try addsPrefixSpace ?? file.bool(object, "add_prefix_space", inside) ?? false
      return [
        .byteLevel(addsPrefixSpace: addsSpace, splitsWords: try file.bool(object, "use_regex", inside) ?? true)
      ]
    case "Split":
      try keys("pattern", "behavior", "invert")
      return [
        .split(
          try PatternFile(file: file).read(object, inside),
          try file.required(try behavior(object, place), "\(place).behavior"),
          inverted: try file.required(try file.bool(object, "invert", inside), "\(place).invert"))
      ]
    case "Metaspace":
      try keys("replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")
      return [.metaspace(try metaspace(object, place))]
    case "Digits":
      try keys("individual_digits")
      let individual = try file.bool(object, "individual_digits", inside)
      return [.digits(individual: try file.required(individual, "\(place).individual_digits"))]
    case "Punctuation":
      try keys("behavior")
      return [.punctuation(try behavior(object, place) ?? .isolated)]
    case "CharDelimiterSplit":
      try keys("delimiter")
      return [.delimiter(try file.required(try file.scalar(object, "delimiter", inside), "\(place).delimiter"))]
    case "FixedLength":
      try keys("length")
      let length = try file.count(object, "length", inside) ?? 5
      if length == 0 { throw file.invalid("\(place).length", "is 0") }
      return [.fixedLength(length)]
    case "BertPreTokenizer", "Whitespace", "WhitespaceSplit":
      try keys()
      return [type == "BertPreTokenizer" ? .bert : type == "Whitespace" ? .whitespace : .whitespaceSplit]
    case "Sequence":
      try keys("pretokenizers")
      let elements = try file.required(try file.array(object, "pretokenizers", inside), "\(place).pretokenizers")
      return try elements.enumerated().flatMap { try read($1, "\(place).pretokenizers[\($0)]") }
    default:
      throw file.unsupported(place, "the pre_tokenizer \(type)")
    }
  }

  private func behavior(_ object: JSONValue, _ place: String) throws -> SplitBehavior? {
    guard let name = try file.string(object, "behavior", "\(place).") else { return nil }
    guard let behavior = SplitBehavior(rawValue: name) else {
      throw file.unsupported("\(place).behavior", "the behavior \(name)")
    }
    return behavior
  }

  /// A Metaspace, as pre-tokenizer or decoder.
  func metaspace(_ object: JSONValue, _ place: String) throws -> PreTokenizer.Metaspace {
    let inside = "\(place)."
    let scalar = try file.required(try file.scalar(object, "replacement", inside), "\(place).replacement")
    let scheme = try file.string(object, "prepend_scheme", inside) ?? "always"
    if try file.bool(object, "add_prefix_space", inside) == false && scheme != "never" {
      throw file.invalid("\(place).add_prefix_space", "contradicts the prepend_scheme \(scheme)")
    }
    let prepending: PreTokenizer.Metaspace.Prepending
    switch scheme {
    case "always": prepending = .always
    case "first": prepending = .first
    case "never": prepending = .never
    default: throw file.unsupported("\(place).prepend_scheme", "the scheme \(scheme)")
    }
    return .init(
      replacement: UTF8Scalars.encode([scalar]), prepending: prepending,
      splits: try file.bool(object, "split", inside) ?? true)
  }
}
