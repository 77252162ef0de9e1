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

  @Flag(help: "The other way: each line is a JSON array of ids, and its text is printed as a JSON string.")
  var decode = false

  func run() throws {
    let tokenizer = try TokenizerFiles.load(directory: URL(fileURLWithPath: model, isDirectory: true))
    if decode { return try printTexts(tokenizer) }
    var lines = StandardInput(isJSON: jsonInput)
    while let text = try lines.next() {
      let ids = tokenizer.encode(text, addSpecialTokens: true)
      Output.write(Data(("[" + ids.map(String.init).joined(separator: ", ") + "]\n").utf8))
    }
  }

  private func printTexts(_ tokenizer: any Tokenizer) throws {
    var lines = StandardInput(isJSON: false)
    var number = 0
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    while let line = try lines.next() {
      number += 1
      guard let ids = try? JSONDecoder().decode([Int32].self, from: Data(line.utf8)) else {
        throw StandardInput.Failure.notIDs(line: number)
      }
      Output.write(try encoder.encode(tokenizer.decode(ids, skipSpecialTokens: false)) + Data("\n".utf8))
    }
  }
}
