import Autodiff
import Compute
import LanguageModels

/// Where a prompt starts.
public enum PromptInitialization: Sendable, Hashable, CustomStringConvertible {
  /// Normal numbers with the mean 0 and the root-mean-square of the model's token embeddings.
  case random
  /// Token embeddings of rows drawn without replacement from the first 5,000 of the vocabulary, which in a byte-pair
  /// vocabulary are the most frequent (Lester et al., 2021, section 3.2).
  case vocabulary
  /// The token embeddings of a text, repeated or cut to the prompt's length (as PEFT does).
  case text(String)
  /// For each label the mean of its tokens' embeddings (Lester et al., 2021, section 3.2); further rows as `vocabulary`
  /// has them.
  case labels
  /// The vectors of an adapter.
  case adapter(Adapter)
  /// Zeros, for a prompt whose values are read from a file.
  case zeros

  /// How many of the most frequent tokens `vocabulary` draws from.
  static let frequentTokens = 5000

  public var description: String {
    switch self {
    case .random: "random"
    case .vocabulary: "vocabulary"
    case .text(let text): "text:\(text)"
    case .labels: "labels"
    case .adapter(let adapter): "adapter:\(adapter.path)"
    case .zeros: "zeros"
    }
  }

  /// The starting vectors, `[length, embeddingWidth]`, row-major.
  ///
  /// - Throws: `MethodError.refused` for a text without tokens or more rows than there are to draw;
  ///   `MethodError.badAdapter` for an adapter of another length or width.
  public func values(
    length: Int, model: any LanguageModel, codec: TextCodec, labels: [String] = [], seed: UInt64
  ) throws -> [Float] {
    let width = model.facts.embeddingWidth
    var generator = Philox(seed: seed, stream: 0x7072_6F6D_7074_0000)
    switch self {
    case .random:
      let scale = try Self.embeddingScale(of: model)
      return (0..<length * width).map { _ in generator.nextNormal() * scale }
    case .vocabulary:
      let available = min(Self.frequentTokens, model.facts.vocabularySize, codec.tokenizer.vocabularySize)
      guard length <= available else {
        throw MethodError.refused(
          "--prompt-init vocabulary: \(length) different rows cannot be drawn from \(available) tokens")
      }
      let rows = generator.permutation(of: available).prefix(length).map(Int32.init)
      return try Self.rows(rows, of: model)
    case .text(let text):
      let tokens = codec.encode(text)
      guard !tokens.isEmpty else { throw MethodError.refused("--prompt-init text: the text has no tokens") }
      return try Self.rows((0..<length).map { tokens[$0 % tokens.count] }, of: model)
    case .labels:
      guard !labels.isEmpty else {
        throw MethodError.refused("--prompt-init labels: the data has no labels, and --labels names none")
      }
      let means = try labels.prefix(length).flatMap { try Self.mean(of: codec.encode($0), label: $0, model) }
      let left = length - min(labels.count, length)
      return try means + (left == 0 ? [] : Self.vocabulary.values(length: left, model: model, codec: codec, seed: seed))
    case .zeros: return [Float](repeating: 0, count: length * width)
    case .adapter(let adapter):
      guard !adapter.isPrefix, adapter.type != .own else {
        throw MethodError.badAdapter(
          path: adapter.path,
          reason: "it holds \(adapter.type.name), which has no rows in front of a text to start from")
      }
      if case .multitask(let tasks, _) = adapter.type, tasks > 1 {
        throw MethodError.badAdapter(
          path: adapter.path,
          reason: "it holds prompts of \(tasks) tasks, from which only --prompt multitask starts")
      }
      guard adapter.prompt.width == width else {
        throw MethodError.badAdapter(
          path: adapter.path,
          reason:
            "its prompt has shape [\(adapter.prompt.length), \(adapter.prompt.width)], the model's embeddings [\(model.facts.vocabularySize), \(width)]"
        )
      }
      guard adapter.prompt.length == length else {
        throw MethodError.badAdapter(
          path: adapter.path, reason: "it has \(adapter.prompt.length) virtual tokens, \(length) are asked for")
      }
      return adapter.prompt.values
    }
  }

  /// The mean of the tokens' embeddings, `[embeddingWidth]`, summed in their order.
  private static func mean(of tokens: [Int32], label: String, _ model: any LanguageModel) throws -> [Float] {
    guard !tokens.isEmpty else { throw MethodError.refused("--prompt-init labels: the label '\(label)' has no tokens") }
    let width = model.facts.embeddingWidth
    let values = try rows(tokens, of: model)
    return (0..<width).map { column in
      let sum = tokens.indices.reduce(0.0) { $0 + Double(values[$1 * width + column]) }
      return Float(sum / Double(tokens.count))
    }
  }

  private static func rows(_ tokens: [Int32], of model: any LanguageModel) throws -> [Float] {
    try model.backend.values(
      try model.backend.gatherRows(model.tokenEmbedding.value, try model.backend.indices(tokens)))
  }

  /// The root-mean-square of all token embeddings.
  private static func embeddingScale(of model: any LanguageModel) throws -> Float {
    let (backend, table) = (model.backend, model.tokenEmbedding.value)
    var total = 0.0
    for start in stride(from: 0, to: table.shape[0], by: 4096) {
      let rows = (start..<min(start + 4096, table.shape[0])).map(Int32.init)
      total += try backend.sumOfSquares(try backend.gatherRows(table, try backend.indices(rows)))
    }
    return Float((total / Double(table.count)).squareRoot())
  }
}
