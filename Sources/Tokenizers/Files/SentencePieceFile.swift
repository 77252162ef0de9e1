import Foundation

/// A SentencePiece model without `tokenizer.json`: the family says what is around it, as in transformers.
enum SentencePieceFile {
  /// The names such a file goes by.
  static let names = ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model"]

  /// The tokenizer of a T5, mT5, XLM-RoBERTa, Llama or Mistral checkpoint.
  ///
  /// Throws `TokenizerError`, also for another family.
  static func tokenizer(_ url: URL, _ settings: CheckpointSettings) throws -> PipelineTokenizer {
    let model = try SentencePieceModel(url)
    var parts = PipelineTokenizer.Parts()
    if !model.characterMap.isEmpty {
      guard let map = PrecompiledCharacterMap(model.characterMap) else {
        throw TokenizerError.invalid(file: url.path, place: "normalizer_spec", detail: "the character map is broken")
      }
      parts.normalizer = .precompiled(map)
    }
    switch settings.family {
    case "t5", "mt5": return try unigram(t5(model), 2, url, settings, parts)
    case "xlm-roberta": return try unigram(xlmRoberta(model), 3, url, settings, parts)
    case "llama", "mistral":
      parts.normalizer = nil
      return try llama(model, url, settings, parts)
    case let family?:
      throw TokenizerError.unsupported(
        file: url.path, place: "tokenizer",
        detail: "a SentencePiece model of the family \(family) without tokenizer.json")
    case nil:
      throw TokenizerError.unsupported(
        file: url.path, place: "tokenizer", detail: "a SentencePiece model without tokenizer.json or a known family")
    }
  }

  /// Pieces, the roles that hold where the files name none, and the special tokens around a text.
  private struct Shape {
    var pieces: [(text: [UInt8], score: Double)]
    var roles: [(role: String, content: String)]
    var opening: [String]
    var closing: [String]
    /// Added tokens besides those with a role.
    var extra: [[UInt8]] = []
  }

  private static func scored(_ model: SentencePieceModel, from first: Int = 0) -> [(text: [UInt8], score: Double)] {
    model.pieces.dropFirst(first).map { ($0.text, Double($0.score)) }
  }

  private static func t5(_ model: SentencePieceModel) -> Shape {
    let extra = (0..<100).reversed().map { Array("<extra_id_\($0)>".utf8) }
    return Shape(
      pieces: scored(model) + extra.map { ($0, 0) },
      roles: [("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")], opening: [],
      closing: ["eos_token"],
      extra: extra)
  }

  private static func xlmRoberta(_ model: SentencePieceModel) -> Shape {
    let roles = [
      ("bos_token", "<s>"), ("eos_token", "</s>"), ("sep_token", "</s>"), ("cls_token", "<s>"), ("unk_token", "<unk>"),
      ("pad_token", "<pad>"), ("mask_token", "<mask>"),
    ]
    let first = ["<s>", "<pad>", "</s>", "<unk>"].map { (Array($0.utf8), 0.0) }
    return Shape(
      pieces: first + scored(model, from: 3) + [(Array("<mask>".utf8), 0)], roles: roles, opening: ["bos_token"],
      closing: ["eos_token"])
  }

  private static func unigram(
    _ shape: Shape, _ unknownID: Int, _ url: URL, _ settings: CheckpointSettings, _ parts: PipelineTokenizer.Parts
  ) throws -> PipelineTokenizer {
    guard unknownID < shape.pieces.count else {
      throw TokenizerError.invalid(file: url.path, place: "pieces", detail: "there are only \(shape.pieces.count)")
    }
    var parts = parts
    let mark = Array("▁".utf8)
    parts.preTokenizer = [
      .whitespaceSplit, .metaspace(.init(replacement: mark, prepending: .always, splits: true)),
    ]
    parts.decoder = .metaspace(replacement: 0x2581, dropsFirst: true)
    var vocabulary = Vocabulary(capacity: shape.pieces.count)
    for (index, piece) in shape.pieces.enumerated() { vocabulary.insert(piece.text, id: Int32(index)) }
    if !vocabulary.fitsTrie {
      throw TokenizerError.unsupported(file: url.path, place: "tokens", detail: "a vocabulary of 16 MiB of tokens")
    }
    let model = UnigramModel(
      vocabulary: vocabulary, scores: shape.pieces.map(\.score), unknownID: Int32(unknownID), byteFallback: false)
    return try finish(.unigram(model), shape, url, settings, parts)
  }

  private static func finish(
    _ model: TokenModel, _ shape: Shape, _ url: URL, _ settings: CheckpointSettings, _ parts: PipelineTokenizer.Parts
  ) throws -> PipelineTokenizer {
    var parts = parts
    var list = AddedTokenList(vocabulary: model.vocabulary)
    parts.specialTokens = try settings.specialTokens(
      adding: &list, defaults: shape.roles, extra: shape.extra, file: url.path)
    let contents = Dictionary(shape.roles, uniquingKeysWith: { first, _ in first })
    func id(_ role: String) throws -> Int32 {
      let content = settings.content(of: role) ?? Array((contents[role] ?? "").utf8)
      guard let id = list.id(of: content) else {
        throw TokenizerError.invalid(file: url.path, place: role, detail: "there is no such token")
      }
      return id
    }
    parts.prefix = try shape.opening.map(id)
    parts.suffix = try shape.closing.map(id)
    parts.setAddedTokens(list.entries)
    return PipelineTokenizer(model: model, parts: parts)
  }

  // MARK: - Byte pairs

  private static func llama(
    _ model: SentencePieceModel, _ url: URL, _ settings: CheckpointSettings, _ parts: PipelineTokenizer.Parts
  ) throws -> PipelineTokenizer {
    guard model.modelType == 2 else {
      throw TokenizerError.unsupported(file: url.path, place: "trainer_spec.model_type", detail: "a unigram model here")
    }
    var parts = parts
    let mark = Array("▁".utf8)
    let addsSpace = settings.addsPrefixSpace ?? true
    parts.preTokenizer = [
      .metaspace(.init(replacement: mark, prepending: addsSpace ? .first : .never, splits: false))
    ]
    let space: [UInt8] = [0x20]
    parts.decoder = .sequence(
      [.replace(.literal(mark), with: space), .byteFallback, .fuse]
        + (addsSpace ? [.strip(0x20, start: 1, stop: 0)] : []))
    var vocabulary = Vocabulary(capacity: model.pieces.count)
    for (index, piece) in model.pieces.enumerated() { vocabulary.insert(piece.text, id: Int32(index)) }
    let merges = merges(of: model.pieces.map(\.text), vocabulary)
    var pairs = BytePairModel(vocabulary: vocabulary, mergeCount: merges.count)
    for (rank, merge) in merges.enumerated() { _ = pairs.addMerge(merge.left, merge.right, rank: rank) }
    pairs.fusesUnknown = true
    let shape = Shape(
      pieces: [], roles: [("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")],
      opening: settings.addsBegin == true ? ["bos_token"] : [], closing: settings.addsEnd == true ? ["eos_token"] : [])
    return try finish(.characters(CharacterPairModel(pairs, byteFallback: true)), shape, url, settings, parts)
  }

  /// The merges that a vocabulary implies: every split of a piece into two others, in the order of the pieces.
  private static func merges(
    of pieces: [[UInt8]], _ vocabulary: Vocabulary
  ) -> [(left: [UInt8], right: [UInt8])] {
    var merges: [(left: [UInt8], right: [UInt8])] = []
    for (index, piece) in pieces.enumerated() where vocabulary[piece] == Int32(index) {
      var local: [(left: [UInt8], right: [UInt8], length: Int)] = []
      var length = 0
      for place in piece.indices.dropFirst() where piece[place] & 0xC0 != 0x80 {
        length += 1
        let left = Array(piece[..<place])
        let right = Array(piece[place...])
        if vocabulary[left] != nil && vocabulary[right] != nil { local.append((left, right, length)) }
      }
      // All of one piece have the same score: the shorter left part comes first.
      merges += local.sorted { $0.length < $1.length }.map { ($0.left, $0.right) }
    }
    return merges
  }
}
