/// The `decoder` of `tokenizer.json`.
struct DecoderFile {
  let file: JSONFile

  /// The decoder of an object, or nil for null.
  ///
  /// Throws `TokenizerError.unsupported` for a type or a key that is not known.
  func read(_ object: JSONValue?, _ place: String) throws -> Decoder? {
    guard let object, !object.isNull else { return nil }
    let type = try file.required(try file.string(object, "type", "\(place)."), "\(place).type")
    let inside = "\(place)."
    func keys(_ known: String...) throws { try file.checkKeys(object, inside, Set(known + ["type"])) }
    switch type {
    case "ByteLevel":
      try keys("add_prefix_space", "trim_offsets", "use_regex")
      return .byteLevel
    case "ByteFallback":
      try keys()
      return .byteFallback
    case "Fuse":
      try keys()
      return .fuse
    case "Metaspace":
      try keys("replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep")
      let metaspace = try PreTokenizerFile(file: file, addsPrefixSpace: nil).metaspace(object, place)
      let scalar = metaspace.replacement.withUnsafeBufferPointer(UTF8Scalars.decode)
      return .metaspace(replacement: scalar[0], dropsFirst: metaspace.prepending != .never)
    case "WordPiece":
      try keys("prefix", "cleanup")
      return .wordPiece(
        prefix: try file.required(try file.bytes(object, "prefix", inside), "\(place).prefix"),
        cleansUp: try file.required(try file.bool(object, "cleanup", inside), "\(place).cleanup"))
    case "Replace":
      try keys("pattern", "content")
      return .replace(
        try PatternFile(file: file).read(object, inside),
        with: try file.required(try file.bytes(object, "content", inside), "\(place).content"))
    case "Strip":
      try keys("content", "start", "stop")
      return .strip(
        try file.required(try file.scalar(object, "content", inside), "\(place).content"),
        start: try file.required(try file.count(object, "start", inside), "\(place).start"),
        stop: try file.required(try file.count(object, "stop", inside), "\(place).stop"))
    case "Sequence":
      try keys("decoders")
      let elements = try file.required(try file.array(object, "decoders", inside), "\(place).decoders")
      return .sequence(try elements.enumerated().compactMap { try read($1, "\(place).decoders[\($0)]") })
    default:
      throw file.unsupported(place, "the decoder \(type)")
    }
  }
}
