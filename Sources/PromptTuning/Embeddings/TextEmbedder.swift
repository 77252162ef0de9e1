import Autodiff
import Compute
import Foundation
import LanguageModels
import Tokenizers

/// Turns texts into vectors: a model's final hidden states, pooled or one for each token.
///
/// Texts of any lengths lie end to end in one batch, without padding.
public struct TextEmbedder {
  private let model: any LanguageModel
  private let tokenizer: any Tokenizer
  private let options: EmbeddingOptions
  private let modules: SentenceModules?
  private let limit: Int?
  private let cuts: Bool

  /// Tokens that are computed in one pass, at most; a single longer text is computed alone.
  private static let tokensPerPass = 4096

  /// - Parameter modules: what the model's directory says about itself; heeded for `EmbeddingPooling.auto` alone.
  public init(
    model: any LanguageModel, tokenizer: any Tokenizer, modules: SentenceModules?, options: EmbeddingOptions
  ) {
    self.model = model
    self.tokenizer = tokenizer
    self.options = options
    self.modules = options.pooling == .auto ? modules : nil
    limit = [self.modules?.maximumTokens, model.facts.maximumPositions].compactMap { $0 }.min()
    cuts = options.cutsTexts || self.modules != nil
  }

  /// The vectors of texts, in their order.
  ///
  /// All texts are put into tokens, and so checked, before anything is computed.
  ///
  /// - Parameters:
  ///   - source: where the texts come from, for messages.
  ///   - firstNumber: the first one's line, counted from 1.
  /// - Throws: `MethodError` for a text that is too long or, if it is to be pooled, has no tokens, and for a vector
  ///   that is not finite; `ComputeError`.
  public func embed(_ texts: [String], source: String = "text", firstNumber: Int = 1) throws -> [TextEmbedding] {
    try embed(texts) { "\(source):\(firstNumber + $0)" }
  }

  /// The vectors of texts from several places, in their order.
  ///
  /// - Parameter place: where a text comes from, by its index, for messages.
  /// - Throws: as `embed(_:source:firstNumber:)`.
  public func embed(_ texts: [String], place: (Int) -> String) throws -> [TextEmbedding] {
    let encoded = try texts.enumerated().map { try tokens(of: $1, place: place($0)) }
    var results: [TextEmbedding] = []
    while results.count < encoded.count {
      var total = 0
      let batch = encoded[results.count...].prefix { text in
        total += text.ids.count
        return total <= Self.tokensPerPass
      }
      let next = batch.isEmpty ? encoded[results.count...].prefix(1) : batch
      let first = results.count
      results += try vectors(Array(next)) { place(first + $0) }
    }
    return results
  }

  // MARK: - Tokens

  private struct EncodedText {
    var ids: [Int32]
    var cutTokens: Int
  }

  private func tokens(of text: String, place: String) throws -> EncodedText {
    var text = (modules?.textPrefix ?? "") + text
    if modules?.lowercases == true { text = text.lowercased() }
    var ids = tokenizer.encode(text, addSpecialTokens: true)
    let length = ids.count
    if let limit, length > limit {
      guard cuts else {
        throw MethodError.badText(
          place: place, reason: "has \(length) tokens, the model has \(limit) positions; --truncate input-end cuts it")
      }
      ids = try cut(ids, text: text, to: limit, place: place)
    }
    if let bad = ids.first(where: { Int($0) >= model.facts.vocabularySize }) {
      throw MethodError.badText(
        place: place, reason: "has the token \(bad), the model's vocabulary has \(model.facts.vocabularySize)")
    }
    guard !ids.isEmpty || options.pooling == .none else {
      throw MethodError.badText(place: place, reason: "has no tokens, so that there is nothing to pool")
    }
    return EncodedText(ids: ids, cutTokens: length - ids.count)
  }

  /// Leaves out the last tokens of the text; what the tokenizer puts around it stays.
  private func cut(_ ids: [Int32], text: String, to limit: Int, place: String) throws -> [Int32] {
    let plain = tokenizer.encode(text, addSpecialTokens: false)
    let around = ids.count - plain.count
    let opening = (0...max(0, around)).first { Array(ids.dropFirst($0).prefix(plain.count)) == plain }
    guard let opening, around < limit else {
      throw MethodError.badText(
        place: place, reason: "has \(ids.count) tokens, of which \(limit) cannot be kept with their special tokens")
    }
    return ids.prefix(opening) + plain.prefix(limit - around) + ids.suffix(around - opening)
  }

  // MARK: - Vectors

  private func vectors(_ texts: [EncodedText], at name: (Int) -> String) throws -> [TextEmbedding] {
    let backend = model.backend
    let counts = texts.map(\.ids.count)
    let width = model.facts.hiddenWidth
    let poolings = poolings
    // Relative positions need all rows.
    let wantsFirst = poolings == [.first] && model.facts.kind == .encoder
    let states = try hidden(texts.map(\.ids), onlyFirst: wantsFirst)
    var row = 0
    var pooled: [Float] = []
    var embeddings: [TextEmbedding] = []
    for (place, count) in counts.enumerated() {
      let rows = wantsFirst ? 1 : count
      let own = states[row * width..<(row + rows) * width]
      row += rows
      if let bad = own.firstIndex(where: { !$0.isFinite }) {
        throw MethodError.badText(
          place: name(place),
          reason: "gives a hidden state that is not finite (column \((bad - own.startIndex) % width))")
      }
      if let poolings {
        for pooling in poolings { pooled += pooling(own, width: width) }
      } else {
        let vectors = (0..<rows).map { Array(own.dropFirst($0 * width).prefix(width)) }
        embeddings.append(
          TextEmbedding(
            vectors: options.normalizes ? vectors.map(\.normalized) : vectors, isPerToken: true,
            cutTokens: texts[place].cutTokens))
      }
    }
    guard let poolings else { return embeddings }
    return try finished(pooled, width: width * poolings.count, texts, on: backend)
  }

  /// How hidden states become one vector; nil if they do not.
  private var poolings: [Pooling]? {
    switch options.pooling {
    case .none: nil
    case .first: [.first]
    case .mean: [.mean]
    case .auto: modules?.poolings ?? [.mean]
    }
  }

  /// The final hidden states of all texts end to end, or those of their first tokens.
  private func hidden(_ texts: [[Int32]], onlyFirst: Bool) throws -> [Float] {
    let backend = model.backend
    let counts = texts.map(\.count)
    guard counts.contains(where: { $0 > 0 }) else { return [] }
    let tape = Tape(backend, isRecording: false)
    let batch: PackedBatch
    if model.facts.kind == .causal {
      batch = try PackedBatch.causal(
        promptLength: 0, counts.map { PackedSequence(length: $0, outputs: $0) }, on: backend)
    } else {
      batch = try PackedBatch.bidirectional(
        promptLength: 0, counts, outputs: onlyFirst ? .first : .all, on: backend)
    }
    let embedded = try model.embed(texts.flatMap { $0 }, on: tape)
    return try backend.values(try model.encode(embedded, batch, cache: nil, on: tape).value)
  }

  /// What the steps behind pooling make of vectors.
  private func finished(_ pooled: [Float], width: Int, _ texts: [EncodedText], on backend: any ComputeBackend) throws
    -> [TextEmbedding]
  {
    var (values, width) = (pooled, width)
    func mapRows(_ map: ([Float]) -> [Float]) {
      values = (0..<texts.count).flatMap { map(Array(values[$0 * width..<($0 + 1) * width])) }
    }
    for step in modules?.steps ?? [] {
      switch step {
      case .normalize: mapRows(\.normalized)
      case .dense(let layer):
        guard layer.inputs == width else {
          throw MethodError.refused(
            "a dense layer of modules.json reads \(layer.inputs) columns, there are \(width)")
        }
        values = try layer(values, on: backend)
        width = layer.outputs
      }
    }
    if options.normalizes { mapRows(\.normalized) }
    return texts.indices.map { place in
      TextEmbedding(
        vectors: [Array(values[place * width..<(place + 1) * width])], isPerToken: false,
        cutTokens: texts[place].cutTokens)
    }
  }
}
