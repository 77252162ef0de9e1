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

      The peaks are measured first: multiply-adds in registers, and copying memory. "% of peak" is the time that a case \
      would take if nothing but its operations, or nothing but its bytes, counted at those peaks, whichever is longer, \
      over the time that it took.
      """)

  @OptionGroup var arguments: BenchArguments

  @Option(help: ArgumentHelp("Only cases whose name matches.", valueName: "regex"))
  var filter: String?

  /// A measured kernel, in the form of `bench kernels --json`.
  private struct Figure: Encodable {
    var operation: String
    var name: String
    var sizes: [String: Int]
    /// Nil for the difference of two medians that came out as nothing, as it may on a busy machine.
    var seconds: Double?
    var work: Work
    /// Whether its rate of operations says something: products, and what does many operations for every byte.
    var computes: Bool
    var share: PeakShare?

    var gflops: Double? { computes ? seconds.map { 1e-9 * work.flops / $0 } : nil }
    var bandwidth: Double? { seconds.map { 1e-9 * work.bytes / $0 } }

    enum CodingKeys: String, CodingKey {
      case operation, name, m, n, k, rows, columns, milliseconds, gflops, flops, bytes, bound
      case bandwidth = "gigabytes_per_second"
      case percent = "percent_of_peak"
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(operation, forKey: .operation)
      try container.encode(name, forKey: .name)
      for (size, value) in sizes {
        if let key = CodingKeys(stringValue: size) { try container.encode(value, forKey: key) }
      }
      try container.encode(1e3 * (seconds ?? 0), forKey: .milliseconds)
      try container.encodeIfPresent(gflops, forKey: .gflops)
      try container.encodeIfPresent(bandwidth, forKey: .bandwidth)
      try container.encode(work.flops, forKey: .flops)
      try container.encode(work.bytes, forKey: .bytes)
      try container.encodeIfPresent(share?.percent, forKey: .percent)
      try container.encodeIfPresent(share?.bound, forKey: .bound)
    }
  }

  private struct Report: Encodable {
    var device: String
    var device_name: String
    var peaks: DevicePeaks
    var kernels: [Figure]
  }

  func run() throws {
    let benchmarks = try KernelBenchmark.select(filter: filter)
    let backend = try arguments.deviceOptions.open()
    let stopwatch = Stopwatch(backend: backend, rounds: arguments.rounds)
    let peaks = try DevicePeaks(measuredOn: backend)
    let figures = try benchmarks.flatMap { try measure($0, stopwatch, peaks) }
    if arguments.json {
      let device = backend.device
      try Output.json(Report(device: device.id, device_name: device.name, peaks: peaks, kernels: figures))
      return
    }
    print("\(backend.device.id): \(backend.device.name)\n\(peaks.description)\n")
    Output.table(
      ["case", "pass", "ms", "GFLOP/s", "GB/s", "% of peak", "bound by"],
      figures.map { figure in
        [
          figure.name, figure.operation.hasSuffix(Self.backward) ? "backward" : "forward",
          String(format: "%.3f", 1e3 * (figure.seconds ?? 0)), figure.gflops.map { String(format: "%.1f", $0) } ?? "",
          figure.bandwidth.map { String(format: "%.1f", $0) } ?? "", figure.share?.text ?? "",
          figure.share?.bound.rawValue ?? "",
        ]
      })
  }

  private static let backward = "Backward"

  private func measure(_ benchmark: KernelBenchmark, _ stopwatch: Stopwatch, _ peaks: DevicePeaks) throws -> [Figure] {
    let (forward, withGradient) = try benchmark.prepare(on: stopwatch.backend)
    func figure(_ suffix: String, _ work: Work, _ seconds: Double) -> Figure {
      let seconds = seconds > 0 ? seconds : nil
      return Figure(
        operation: benchmark.operation + suffix, name: benchmark.name, sizes: benchmark.sizes, seconds: seconds,
        work: work, computes: work.flops > 4 * work.bytes || benchmark.operation == "matmul",
        share: seconds.map { peaks.share(of: work, rounded: benchmark.roundsOperands, seconds: $0) })
    }
    let seconds = try stopwatch.median(forward)
    guard let withGradient else { return [figure("", benchmark.work, seconds)] }
    return [
      figure("", benchmark.work, seconds),
      figure(Self.backward, benchmark.gradientWork, try stopwatch.median(withGradient) - seconds),
    ]
  }
}
