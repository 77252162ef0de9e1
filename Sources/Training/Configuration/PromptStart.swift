import Foundation
import PromptTuning

extension PromptInitialization {
  /// What `--prompt-init` says: `random`, `vocabulary`, `text:STRING` or `adapter:DIR`.
  ///
  /// - Throws: `TrainingError.configuration` for anything else; what reading an adapter throws.
  public init(argument: String) throws {
    switch argument {
    case "random": self = .random
    case "vocabulary": self = .vocabulary
    case _ where argument.hasPrefix("text:"): self = .text(String(argument.dropFirst(5)))
    case _ where argument.hasPrefix("adapter:"):
      let path = String(argument.dropFirst(8))
      self = .adapter(try Adapter(directory: URL(fileURLWithPath: path, isDirectory: true)))
    default:
      throw TrainingError.configuration(
        origin: "--prompt-init", reason: "'\(argument)' is not random, vocabulary, text:STRING or adapter:DIR")
    }
  }
}
