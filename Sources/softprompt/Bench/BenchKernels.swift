import ArgumentParser
import Compute
import Conformance
import Foundation

/// `softprompt bench kernels`.
struct BenchKernelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Measure matrix products, row operations and attention at the sizes of GPT-2.",
    discussion: """
      The cases come from the table of `softprompt conformance`. "Backward" is the gradient of the first input alone, as
      a frozen model needs it: the time of both passes less that of the forward one.
      """)

  @OptionGroup var arguments: BenchArguments

  @Option(help: ArgumentHelp("Only cases whose name matches.", valueName: "regex"))
  var filter: String?

  /// A measured kernel, in the form of `bench kernels --json`.
  private struct Figure: Encodable {
    var operation: String
    var name: String
    var sizes: [String: Int]
    var milliseconds: Double
    var gflops: Double?
    var gigabytesPerSecond: Double?

    enum CodingKeys: String, CodingKey {
      case operation, name, m, n, k, rows, columns, milliseconds, gflops
      case gigabytesPerSecond = "gigabytes_per_second"
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(operation, forKey: .operation)
      try container.encode(name, forKey: .name)
      for (size, value) in sizes {
        if let key = CodingKeys(stringValue: size) { try container.encode(value, forKey: key) }
      }
      try container.encode(milliseconds, forKey: .milliseconds)
      try container.encodeIfPresent(gflops, forKey: .gflops)
      try container.encodeIfPresent(gigabytesPerSecond, forKey: .gigabytesPerSecond)
    }
  }

  private struct Report: Encodable {
    var device: String
    var kernels: [Figure]
  }

  func run() throws {
    let benchmarks = try KernelBenchmark.select(filter: filter)
    let backend = try arguments.deviceOptions.open()
    let stopwatch = Stopwatch(backend: backend, rounds: arguments.rounds)
    let figures = try benchmarks.flatMap { try measure($0, stopwatch) }
    if arguments.json {
      try Output.json(Report(device: backend.device.id, kernels: figures))
      return
    }
    print("\(backend.device.id): \(backend.device.name)\n")
    Output.table(
      ["case", "pass", "ms", "GFLOP/s", "GB/s"],
      figures.map { figure in
        [
          figure.name, figure.operation.hasSuffix(Self.backward) ? "backward" : "forward",
          String(format: "%.3f", figure.milliseconds), figure.gflops.map { String(format: "%.1f", $0) } ?? "",
          figure.gigabytesPerSecond.map { String(format: "%.1f", $0) } ?? "",
        ]
      })
  }

  private static let backward = "Backward"

  private func measure(_ benchmark: KernelBenchmark, _ stopwatch: Stopwatch) throws -> [Figure] {
    let (forward, withGradient) = try benchmark.prepare(on: stopwatch.backend)
    let seconds = try stopwatch.median(forward)
    let computes = benchmark.work.flops > 16 * benchmark.work.bytes / 4
    var figures = [
      Figure(
        operation: benchmark.operation, name: benchmark.name, sizes: benchmark.sizes, milliseconds: 1e3 * seconds,
        gflops: computes || benchmark.operation == "matmul" ? 1e-9 * benchmark.work.flops / seconds : nil,
        gigabytesPerSecond: 1e-9 * benchmark.work.bytes / seconds)
    ]
    if let withGradient {
      let both = try stopwatch.median(withGradient)
      figures.append(
        Figure(
          operation: benchmark.operation + Self.backward, name: benchmark.name, sizes: benchmark.sizes,
          milliseconds: 1e3 * max(0, both - seconds),
          gflops: benchmark.operation == "matmul" && both > seconds
            ? 1e-9 * benchmark.work.flops / (both - seconds) : nil))
    }
    return figures
  }
}
