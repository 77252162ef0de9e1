import ArgumentParser
import Conformance
import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// How the program ends.
enum Exit {
  /// A check that the command was asked to make did not pass.
  struct CheckFailed: Error {}

  /// The user interrupted; what could be saved was saved.
  struct Interrupted: Error {}

  static let checkFailedCode: Int32 = 1
  static let badInputCode: Int32 = 2
  static let interruptedCode: Int32 = 130

  /// Prints what there is to say about an error and ends the program with the code that goes with it.
  static func now(after error: any Error) -> Never {
    switch error {
    case is CheckFailed: exit(checkFailedCode)
    case is Interrupted: exit(interruptedCode)
    case let disagreement as Disagreement:
      FileHandle.standardError.write(Data("softprompt: \(oneLine(disagreement.description))\n".utf8))
      exit(checkFailedCode)
    default: break
    }
    // --help, --version and completion scripts arrive as errors with exit code 0.
    let code = SoftPrompt.exitCode(for: error)
    if code == .success {
      print(SoftPrompt.fullMessage(for: error))
      exit(0)
    }
    let message = SoftPrompt.message(for: error)
    let line = oneLine(message.isEmpty ? String(describing: error) : message)
    FileHandle.standardError.write(Data("softprompt: \(line)\n".utf8))
    exit(badInputCode)
  }

  /// A message on one line, whatever it quotes.
  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }.joined(separator: " ")
  }
}
