import ArgumentParser
import Foundation
import LanguageModels
import PromptTuning
import Tokenizers

extension EmbeddingPooling: ExpressibleByArgument {}

/// `softprompt embed`.
struct EmbedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed",
    abstract: "Print the vector of each line of standard input as a JSON array.",
    discussion: """
      A line ends at a newline only; an empty one is a text too. With --pooling none a line's array holds an array for \
      each token. Sentence encoders in the layout of sentence-transformers (modules.json) are followed by --pooling \
      auto: their pooling, dense layers and normalisation, and the length to which they cut texts, which is reported.
      """)

  @OptionGroup var modelArguments: ModelArguments

  @Option(help: "cls (the first token), mean, none (every token) or auto (modules.json, else mean).")
  var pooling: EmbeddingPooling = .auto

  @Flag(help: "Divide each vector by its length.")
  var normalize = false

  @Option(
    help: ArgumentHelp(
      "What may be cut from a text that is too long: input-end (default: it is an error).", valueName: "what"))
  var truncate: Cut?

  @Option(help: "Texts that are computed at a time.")
  var batchSize = 64

  @OptionGroup(title: "Device") var deviceOptions: DeviceOptions

  @Flag(help: "Each line is a JSON string, so that a text can hold newlines.")
  var jsonInput = false

  enum Cut: String, CaseIterable, ExpressibleByArgument {
    case inputEnd = "input-end"
  }

  func run() throws {
    guard batchSize >= 1 else { throw ValidationError("--batch-size is \(batchSize), at least 1 is needed") }
    let url = URL(fileURLWithPath: modelArguments.model, isDirectory: true)
    let directory = try ModelDirectory(url)
    let modules = pooling == .auto ? try SentenceModules(directory: url) : nil
    let tokenizer = try TokenizerFiles.load(directory: url)
    let model = try directory.load(on: try deviceOptions.open(), modelArguments.precision.options())
    let embedder = TextEmbedder(
      model: model, tokenizer: tokenizer, modules: modules,
      options: EmbeddingOptions(pooling: pooling, normalizes: normalize, cutsTexts: truncate == .inputEnd))
    var lines = StandardInput(isJSON: jsonInput)
    var count = 0
    while let first = try lines.next() {
      var texts = [first]
      // What has already arrived is computed together; nobody waits for lines that have not.
      while texts.count < batchSize, lines.hasArrived, let text = try lines.next() { texts.append(text) }
      let embeddings = try embedder.embed(texts, source: "standard input", firstNumber: count + 1)
      for (place, embedding) in embeddings.enumerated() {
        if embedding.cutTokens > 0 {
          DeviceSelection.standardErrorNotice(
            "standard input:\(count + place + 1): the last \(embedding.cutTokens) tokens were cut")
        }
        Output.write(Data((Self.json(embedding) + "\n").utf8))
      }
      count += texts.count
    }
  }

  /// An array of numbers, or one of arrays; each number in as few digits as tell it from its neighbours.
  private static func json(_ embedding: TextEmbedding) -> String {
    let vectors = embedding.vectors.map { "[" + $0.map(\.description).joined(separator: ", ") + "]" }
    return embedding.isPerToken ? "[" + vectors.joined(separator: ", ") + "]" : vectors.joined()
  }
}
