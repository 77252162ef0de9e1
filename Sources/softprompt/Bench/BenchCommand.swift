import ArgumentParser

/// `softprompt bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure how fast kernels, training steps and generation run on a device.",
    discussion: "Medians over several rounds. Compare figures of one run with one another: machines drift.",
    subcommands: [BenchKernelsCommand.self, BenchTrainCommand.self, BenchGenerateCommand.self])
}

/// The options that every benchmark takes.
struct BenchArguments: ParsableArguments {
  @OptionGroup var deviceOptions: DeviceOptions

  @Option(help: "How many times each figure is measured.")
  var rounds = 7

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  func validate() throws {
    guard rounds > 0 else { throw ValidationError("--rounds must be at least 1") }
  }
}
