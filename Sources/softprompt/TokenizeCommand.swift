import ArgumentParser
import Foundation
import Tokenizers

/// `softprompt tokenize`.
struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Print the token ids of each line of standard input as a JSON array.",
    discussion: """
      The ids are what the model's tokenizer gives by default, special tokens included. A line ends at a newline only.
      """)

  @Option(help: ArgumentHelp("The model's directory, or one with its tokenizer's files.", valueName: "directory"))
  var model: String

  @Flag(help: "Each line is a JSON string, so that a text can hold newlines.")
  var jsonInput = false

  func run() throws {
    let tokenizer = try TokenizerFiles.load(directory: URL(fileURLWithPath: model, isDirectory: true))
    var lines = StandardInput(isJSON: jsonInput)
    while let text = try lines.next() {
      let ids = tokenizer.encode(text, addSpecialTokens: true)
      Output.write(Data(("[" + ids.map(String.init).joined(separator: ", ") + "]\n").utf8))
    }
  }
}
