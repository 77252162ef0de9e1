import ArgumentParser
import Foundation
import Training

/// Refuses unknown commands and options before anything else is said about the arguments, with the nearest known name.
///
/// The parser reports a missing argument before an unknown one, although the unknown one is usually its misspelling.
enum KnownOptions {
  /// An option or command that does not exist.
  struct Unknown: Error, CustomStringConvertible {
    var kind: String
    var name: String
    var nearest: String?

    var description: String {
      "unknown \(kind) '\(name)'" + (nearest.map { "; did you mean '\($0)'?" } ?? "; see --help")
    }
  }

  /// - Throws: `Unknown` for the first word that begins with two dashes and is not an option of the chosen command.
  static func check(_ arguments: [String]) throws {
    var command: any ParsableCommand.Type = SoftPrompt.self
    var position = 0
    while position < arguments.count, !arguments[position].hasPrefix("-") {
      let subcommands = command.configuration.subcommands
      guard !subcommands.isEmpty else { break }
      guard let next = subcommands.first(where: { $0.configuration.commandName == arguments[position] }) else {
        if arguments[position] == "help" { return }
        let names = subcommands.compactMap { $0.configuration.commandName }
        throw Unknown(
          kind: "command", name: arguments[position], nearest: NearestName.of(arguments[position], among: names))
      }
      command = next
      position += 1
    }
    let known = options(of: command)
    for argument in arguments[position...] {
      if argument == "--" { return }
      guard argument.hasPrefix("--"), let name = argument.split(separator: "=", maxSplits: 1).first.map(String.init),
        !known.contains(name)
      else { continue }
      throw Unknown(kind: "option", name: name, nearest: NearestName.of(name, among: known.sorted()))
    }
  }

  /// The long options that a command's help text lists.
  private static func options(of command: any ParsableCommand.Type) -> Set<String> {
    let help = SoftPrompt.helpMessage(for: command, includeHidden: true, columns: 200)
    return Set(help.matches(of: /--[a-z][a-z0-9-]*/).map { String($0.output) })
  }
}
