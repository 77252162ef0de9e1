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

  /// How long a kernel took.
  private struct Timing {
    var operation: String
    var benchmark: KernelBenchmark
    var work: Work
    /// Nil for the difference of two medians that came out as nothing, as it may on a busy machine.
    var seconds: Double?
  }

  /// A measured kernel, in the form of `bench kernels --json`.
  private struct Figure: Encodable {
    var operation: String
    var name: String
    var sizes: [String: Int]
    var work: Work
    var seconds: Double?
    var gflops: Double?
    var bandwidth: Double?
    var share: PeakShare?

    init(_ timing: Timing, _ peaks: DevicePeaks) {
      let benchmark = timing.benchmark
      (operation, name, sizes) = (timing.operation, benchmark.name, benchmark.sizes)
      let work = timing.work
      self.work = work
      seconds = timing.seconds
      // Of products, and of what does many operations for every byte; elsewhere the rate says nothing.
      let computes = work.flops > 4 * work.bytes || benchmark.operation == "matmul"
      gflops = computes ? timing.seconds.map { 1e-9 * work.flops / $0 } : nil
      bandwidth = timing.seconds.map { 1e-9 * work.bytes / $0 }
      share = timing.seconds.map { peaks.share(of: work, rounded: benchmark.roundsOperands, seconds: $0) }
    }

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
    let before = try DevicePeaks(measuredOn: backend)
    let timings = try benchmarks.flatMap { try measure($0, stopwatch) }
    let peaks = before.best(try DevicePeaks(measuredOn: backend))
    let figures = timings.map { Figure($0, peaks) }
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

  private func measure(_ benchmark: KernelBenchmark, _ stopwatch: Stopwatch) throws -> [Timing] {
    let (forward, withGradient) = try benchmark.prepare(on: stopwatch.backend)
    let seconds = try stopwatch.median(forward)
    let timing = Timing(
      operation: benchmark.operation, benchmark: benchmark, work: benchmark.work, seconds: seconds)
    guard let withGradient else { return [timing] }
    let difference = try stopwatch.median(withGradient) - seconds
    return [
      timing,
      Timing(
        operation: benchmark.operation + Self.backward, benchmark: benchmark, work: benchmark.gradientWork,
        seconds: difference > 0 ? difference : nil),
    ]
  }
}
