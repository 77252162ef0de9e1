import ArgumentParser
import Foundation
import PromptTuning

/// `softprompt combine`.
struct CombineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "combine",
    abstract: "Average or interpolate prompts: write the sum of adapters, each times a weight.",
    discussion: """
      The adapters are of one type and shape. Templates and everything else are the first adapter's. For a majority vote
      of prompts, repeat --adapter in `softprompt evaluate`.
      """)

  @Argument(help: ArgumentHelp("The adapters' folders.", valueName: "adapter"))
  var adapters: [String]

  @Option(
    help: ArgumentHelp(
      "A weight for each, with commas between them (default: all the same, 1 in sum).", valueName: "list"))
  var weights: String?

  @Option(help: ArgumentHelp("The new adapter's folder.", valueName: "directory"))
  var output: String

  func run() throws {
    let numbers: [Double]
    if let weights {
      numbers = try weights.split(separator: ",", omittingEmptySubsequences: false).map { word in
        guard let number = Double(word) else { throw ValidationError("--weights: '\(word)' is not a number") }
        return number
      }
    } else {
      numbers = adapters.map { _ in 1 / Double(adapters.count) }
    }
    try AdapterCombination.write(
      adapters.map { URL(fileURLWithPath: $0, isDirectory: true) }, weights: numbers,
      to: URL(fileURLWithPath: output, isDirectory: true))
  }
}
