import Compute
import Foundation

/// What a `modules.json` in the layout of sentence-transformers says: how a model's hidden states become the vector of a
/// text.
public struct SentenceModules {
  /// A step behind pooling.
  public enum Step {
    /// `activation(W x + b)`.
    case dense(SentenceDense)
    /// The vector over its length.
    case normalize
  }

  /// Tokens of a text that are read, special ones included; nil where nothing is said.
  public let maximumTokens: Int?
  /// Texts are made lower-case first.
  public let lowercases: Bool
  /// Put in front of every text.
  public let textPrefix: String
  /// Several stand side by side.
  public let poolings: [Pooling]
  public let steps: [Step]

  /// Reads a model directory; nil where there is no `modules.json`.
  ///
  /// - Throws: `CheckpointError` naming the file and the module or key that is not supported.
  public init?(directory: URL) throws {
    let url = directory.appendingPathComponent("modules.json")
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let data = try CheckpointError.map(url)
    guard let list = try? JSONSerialization.jsonObject(with: data) as? [[String: Any]] else {
      throw CheckpointError.malformed(path: url.path, reason: "not a list of modules")
    }
    func unsupported(_ reason: String) -> CheckpointError { .unsupported(path: url.path, reason: reason) }
    var poolings: [Pooling] = []
    var steps: [Step] = []
    var transformer: URL?
    for (number, module) in list.enumerated() {
      guard let type = module["type"] as? String, let path = module["path"] as? String,
        !path.split(separator: "/").contains("..")
      else {
        throw CheckpointError.malformed(path: url.path, reason: "module \(number) has no 'type' or 'path'")
      }
      let folder = path.isEmpty ? directory : directory.appendingPathComponent(path)
      // Releases differ in what stands in front of the name of the class.
      switch type.split(separator: ".").last.map(String.init) {
      case "Transformer" where number == 0:
        guard path.isEmpty else { throw unsupported("the model lies in '\(path)', not beside modules.json") }
        transformer = folder
      case "Pooling" where number == 1: poolings = try Self.poolings(folder)
      case "Normalize" where number > 1:
        try Self.checkNormalize(folder)
        steps.append(.normalize)
      case "Dense" where number > 1: steps.append(.dense(try SentenceDense(folder)))
      default: throw unsupported("module \(number), '\(type)', is not supported there")
      }
    }
    guard let transformer, !poolings.isEmpty else {
      throw unsupported("a Transformer and a Pooling module are needed, in this order")
    }
    self.poolings = poolings
    self.steps = steps
    (maximumTokens, lowercases) = try Self.transformer(transformer)
    textPrefix = try Self.defaultPrompt(directory)
  }

  private static func poolings(_ folder: URL) throws -> [Pooling] {
    let file = try ConfigurationFile(url: folder.appendingPathComponent("config.json"))
    let known: Set = ["word_embedding_dimension", "embedding_dimension", "include_prompt", "pooling_mode"]
    let older = [
      "pooling_mode_cls_token": Pooling.first, "pooling_mode_mean_tokens": .mean, "pooling_mode_max_tokens": .maximum,
      "pooling_mode_mean_sqrt_len_tokens": .meanOverSquareRoot, "pooling_mode_weightedmean_tokens": .weightedMean,
      "pooling_mode_lasttoken": .last,
    ]
    if let key = file.keys.first(where: { !known.contains($0) && older[$0] == nil }) {
      throw file.error(key, "is not known for pooling")
    }
    if let names = try file.poolingNames() {
      return try names.map { name in
        guard let pooling = Pooling(rawValue: name) else { throw file.error("pooling_mode", "is '\(name)'") }
        return pooling
      }
    }
    // The order in which vectors stand side by side.
    let order: [Pooling] = [.first, .maximum, .mean, .meanOverSquareRoot, .weightedMean, .last]
    let chosen = try order.filter { pooling in
      guard let key = older.first(where: { $0.value == pooling })?.key else { return false }
      return try file.boolean(key, default: false)
    }
    return chosen.isEmpty ? [.mean] : chosen
  }

  private static func checkNormalize(_ folder: URL) throws {
    let url = folder.appendingPathComponent("config.json")
    guard FileManager.default.fileExists(atPath: url.path) else { return }
    try SentenceDense.checkNames(try ConfigurationFile(url: url))
  }

  private static func transformer(_ folder: URL) throws -> (maximumTokens: Int?, lowercases: Bool) {
    let url = folder.appendingPathComponent("sentence_bert_config.json")
    guard FileManager.default.fileExists(atPath: url.path) else { return (nil, false) }
    let file = try ConfigurationFile(url: url)
    return (
      try file.optionalInteger("max_seq_length", atLeast: 1), try file.boolean("do_lower_case", default: false)
    )
  }

  /// The prompt that a model puts in front of texts unless told otherwise.
  private static func defaultPrompt(_ directory: URL) throws -> String {
    let url = directory.appendingPathComponent("config_sentence_transformers.json")
    guard FileManager.default.fileExists(atPath: url.path) else { return "" }
    let file = try ConfigurationFile(url: url)
    guard let name = try file.optionalString("default_prompt_name") else { return "" }
    guard let text = try file.optionalObject("prompts")?.optionalString(name) else {
      throw file.error("default_prompt_name", "is '\(name)', which 'prompts' does not have")
    }
    let pooling = try ConfigurationFile(url: directory.appendingPathComponent("1_Pooling/config.json"))
    guard try text.isEmpty || pooling.boolean("include_prompt", default: true) else {
      throw pooling.error("include_prompt", "is false, which is not supported together with a default prompt")
    }
    return text
  }
}

extension ConfigurationFile {
  /// The names under `pooling_mode`, a string or a list of them; nil if the key is absent or null.
  fileprivate func poolingNames() throws -> [String]? {
    guard !isNull("pooling_mode") else { return nil }
    if let names = try? optionalStrings("pooling_mode") { return names }
    return try optionalString("pooling_mode").map { [$0] }
  }
}
