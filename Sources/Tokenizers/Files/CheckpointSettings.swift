import Foundation

/// What the files beside the vocabulary say: special tokens and their roles, further added tokens, and switches.
///
/// Read from `tokenizer_config.json`; `special_tokens_map.json` and `added_tokens.json`, which newer checkpoints no
/// longer have, count only where `tokenizer_config.json` has no `added_tokens_decoder`. `config.json` gives the
/// family.
struct CheckpointSettings {
  /// A role's key in the files; those after `additional` have no meaning of their own here.
  private static let roles = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]
  private static let lists = ["additional_special_tokens", "extra_special_tokens"]
  /// Families whose tokenizer class takes `<|endoftext|>` for begin, end and unknown where the files name none.
  private static let gpt2Families = ["gpt2", "gpt_neo", "gptj", "opt"]

  /// A token that a file asks for.
  private struct Request {
    let token: AddedToken
    let stated: Int32?
    let file: JSONFile
    let place: String
  }

  private(set) var addsPrefixSpace: Bool?
  private(set) var addsBegin: Bool?
  private(set) var addsEnd: Bool?
  /// The model's family: `model_type` of `config.json`, else what the tokenizer's class is named after.
  private(set) var family: String?
  /// BERT's normaliser as `tokenizer_config.json` sets it, for a vocabulary without `tokenizer.json`.
  private(set) var bertNormalizer = BertNormalizer()
  /// Whether special tokens that the files do not name are those of GPT-2.
  private var isGPT2Family: Bool?
  /// The special tokens by role, nil where a file says null.
  private var named: [String: Request?] = [:]
  private var extra: [Request] = []
  /// Tokens of `added_tokens_decoder` and `added_tokens.json`, by id.
  private var decoderTokens: [Request] = []

  /// Reads the files of a directory that are there.
  ///
  /// Throws `TokenizerError`.
  init(directory: URL) throws {
    var hasDecoder = false
    if let file = try Self.open("tokenizer_config.json", in: directory) {
      addsPrefixSpace = try file.bool(file.root, "add_prefix_space", "")
      addsBegin = try file.bool(file.root, "add_bos_token", "")
      addsEnd = try file.bool(file.root, "add_eos_token", "")
      if let name = try file.string(file.root, "tokenizer_class", "") { isGPT2Family = name.hasPrefix("GPT2Tokenizer") }
      try readFamily(file)
      try readSpecialTokens(file)
      if let decoder = file.root["added_tokens_decoder"], !decoder.isNull {
        hasDecoder = true
        try readDecoder(decoder, file)
      }
    }
    if !hasDecoder {
      if let file = try Self.open("special_tokens_map.json", in: directory) { try readSpecialTokens(file) }
      if let file = try Self.open("added_tokens.json", in: directory) { try readAddedTokens(file) }
    }
    if let file = try Self.open("config.json", in: directory),
      let family = try file.string(file.root, "model_type", "")
    {
      self.family = family
      if isGPT2Family == nil { isGPT2Family = Self.gpt2Families.contains(family) }
    }
  }

  private static let families = [
    "T5Tokenizer": "t5", "MT5Tokenizer": "mt5", "XLMRobertaTokenizer": "xlm-roberta", "LlamaTokenizer": "llama",
  ]

  private mutating func readFamily(_ file: JSONFile) throws {
    if let name = try file.string(file.root, "tokenizer_class", "") {
      family = Self.families[name.hasSuffix("Fast") ? String(name.dropLast(4)) : name]
    }
    bertNormalizer.lowercases = try file.bool(file.root, "do_lower_case", "") ?? true
    bertNormalizer.separatesChinese = try file.bool(file.root, "tokenize_chinese_chars", "") ?? true
    bertNormalizer.stripsAccents = try file.bool(file.root, "strip_accents", "") ?? bertNormalizer.lowercases
  }

  /// The token of a role, such as `cls_token`, where the files name one.
  func content(of role: String) -> [UInt8]? {
    (named[role] ?? nil)?.token.content
  }

  /// Adds special tokens for a vocabulary that says nothing of them, and gives the roles.
  ///
  /// `defaults` are the roles that a family's class knows, for those that the files do not name; `extra` are further
  /// special tokens.
  func specialTokens(
    adding list: inout AddedTokenList, defaults: [(role: String, content: String)], extra: [[UInt8]] = [], file: String
  ) throws -> SpecialTokens {
    var settings = self
    let place = JSONFile(path: file)
    for (role, content) in defaults where settings.named[role] == nil {
      settings.named[role] = Request(token: .special(Array(content.utf8)), stated: nil, file: place, place: role)
    }
    settings.extra += extra.map { Request(token: .special($0), stated: nil, file: place, place: "extra tokens") }
    return try settings.specialTokens(adding: &list, defaultsToGPT2: false)
  }

  private static func open(_ name: String, in directory: URL) throws -> JSONFile? {
    let url = directory.appendingPathComponent(name)
    return TokenizerFiles.exists(url) ? try JSONFile(url) : nil
  }

  /// A special token is a string, or an object with `content` and flags.
  private func request(_ value: JSONValue, _ file: JSONFile, _ place: String) throws -> Request {
    switch value.content {
    case .string(let content):
      return Request(token: .special(content), stated: nil, file: file, place: place)
    case .object:
      var token = try AddedToken(value, file: file, place: place, specialDefault: true)
      token.special = true
      return Request(token: token, stated: nil, file: file, place: place)
    default:
      throw file.invalid(place, "\(value.kind) where a token is expected")
    }
  }

  private mutating func readSpecialTokens(_ file: JSONFile) throws {
    for role in Self.roles {
      guard let value = file.root[role] else { continue }
      named[role] = .some(value.isNull ? nil : try request(value, file, role))
    }
    for list in Self.lists {
      guard let value = file.root[list], !value.isNull else { continue }
      switch value.content {
      case .array(let elements):
        for (index, element) in elements.enumerated() { extra.append(try request(element, file, "\(list)[\(index)]")) }
      case .object(let members):
        for member in members {
          let name = String(decoding: member.key, as: UTF8.self)
          extra.append(try request(member.value, file, "\(list).\(name)"))
        }
      default:
        throw file.invalid(list, "\(value.kind) where an array is expected")
      }
    }
  }

  private mutating func readDecoder(_ decoder: JSONValue, _ file: JSONFile) throws {
    for member in try file.members(decoder, "added_tokens_decoder") {
      let key = String(decoding: member.key, as: UTF8.self)
      let place = "added_tokens_decoder.\(key)"
      let id = try file.id(JSONValue(content: .number(member.key), offset: 0), place)
      let token = try AddedToken(member.value, file: file, place: place, specialDefault: false)
      decoderTokens.append(Request(token: token, stated: id, file: file, place: place))
    }
  }

  private mutating func readAddedTokens(_ file: JSONFile) throws {
    let special = named.values.compactMap { $0?.token.content } + extra.map(\.token.content)
    for member in try file.members(file.root, "top level") {
      let name = String(decoding: member.key, as: UTF8.self)
      let isSpecial = special.contains(member.key)
      let token = AddedToken(content: member.key, normalized: !isSpecial, special: isSpecial)
      decoderTokens.append(
        Request(token: token, stated: try file.id(member.value, "\"\(name)\""), file: file, place: "\"\(name)\""))
    }
  }

  /// Adds what the files ask for to the tokens that are there, and gives the roles.
  ///
  /// Tokens of `added_tokens_decoder` replace equal ones with other flags; special tokens are added where they are
  /// missing. `defaultsToGPT2` says what holds for a directory that names no family.
  func specialTokens(adding list: inout AddedTokenList, defaultsToGPT2: Bool) throws -> SpecialTokens {
    for request in decoderTokens.sorted(by: { ($0.stated ?? 0) < ($1.stated ?? 0) })
    where !list.contains(request.token) {
      try list.add(request.token, stated: request.stated, file: request.file, place: request.place)
    }
    for request in Self.roles.compactMap({ named[$0] ?? nil }) + extra where !list.contains(request.token.content) {
      try list.add(request.token, stated: nil, file: request.file, place: request.place)
    }
    var result = SpecialTokens()
    for (role, path) in [
      ("bos_token", \SpecialTokens.begin), ("eos_token", \.end), ("pad_token", \.pad), ("unk_token", \.unknown),
      ("cls_token", \.classification), ("sep_token", \.separator), ("mask_token", \.mask),
    ] {
      if let entry = named[role] {
        result[keyPath: path] = entry.flatMap { Self.special($0.token.content, list) }
      } else if ["bos_token", "eos_token", "unk_token"].contains(role) && isGPT2Family ?? defaultsToGPT2 {
        result[keyPath: path] = Self.special(Array("<|endoftext|>".utf8), list)
      }
    }
    return result
  }

  private static func special(_ content: [UInt8], _ list: AddedTokenList) -> SpecialToken? {
    list.id(of: content).map { SpecialToken(content: String(decoding: content, as: UTF8.self), id: $0) }
  }
}
