import Foundation
import PromptTuning

extension PromptInitialization {
  /// What `--prompt-init` says: `random`, `vocabulary`, `labels`, `text:STRING` or `adapter:DIR`.
  ///
  /// - Throws: `TrainingError.configuration` for anything else; what reading an adapter throws.
  public init(argument: String) throws {
    switch argument {
    case "random": self = .random
    case "vocabulary": self = .vocabulary
    case "labels": self = .labels
    case _ where argument.hasPrefix("text:"): self = .text(String(argument.dropFirst(5)))
    case _ where argument.hasPrefix("adapter:"):
      let path = String(argument.dropFirst(8))
      self = .adapter(try Adapter(directory: URL(fileURLWithPath: path, isDirectory: true), needsTask: false))
    default:
      throw TrainingError.configuration(
        origin: "--prompt-init", reason: "'\(argument)' is not random, vocabulary, labels, text:STRING or adapter:DIR")
    }
  }
}

extension RunConfiguration {
  /// Where the prompt starts: as was chosen, else what suits its kind.
  ///
  /// - Throws: as `PromptInitialization.init(argument:)`; `MethodError.refused` for an unknown method.
  public func promptStart() throws -> PromptInitialization {
    if let promptInit { return try PromptInitialization(argument: promptInit) }
    return try (prompt ?? Method.named(method).prompt).kind.defaultStart
  }
}
