import ArgumentParser
import Foundation

/// The root of the command line.
struct SoftPrompt: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "softprompt",
    abstract: "Prompt tuning for frozen language models on any OpenCL device, or on the CPU.",
    discussion: """
      A first run: `softprompt devices` shows what this machine has, `softprompt train` tunes a prompt, `softprompt
      evaluate` scores it, `softprompt generate` uses it. Every command explains itself with --help.

      Exit codes: 0 done, 1 a check failed, 2 bad input (one line on standard error says what), 130 interrupted.
      """,
    version: "0.1.0",
    subcommands: [
      DevicesCommand.self, TuneCommand.self, ConformanceCommand.self, BenchCommand.self, TrainCommand.self,
      PretrainCommand.self, EvaluateCommand.self, GenerateCommand.self, RetrieveCommand.self, EmbedCommand.self,
      TokenizeCommand.self, InspectCommand.self, CombineCommand.self, PresetsCommand.self, ScoreCommand.self,
    ])
}

@main
enum Main {
  static func main() {
    do {
      try KnownOptions.check(Array(CommandLine.arguments.dropFirst()))
      var command = try SoftPrompt.parseAsRoot()
      try command.run()
    } catch {
      Exit.now(after: error)
    }
  }
}
