import ArgumentParser
import Compute
import Conformance
import Foundation
import OpenCLBackend

/// `softprompt tune`.
struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune",
    abstract: "Find out which kernels are fastest on an OpenCL device, and use them from then on.",
    discussion: """
      Matrix products, attention and row operations are timed in every form that the device can run. The fastest are
      written down beside the built programs, for this device with this driver; without a record kernels are chosen by
      what the device says about itself. Other kernels give other last bits, so nothing is measured unless it is asked
      for. SOFTPROMPT_VARIANT names one form for everything and passes the record by.
      """)

  @OptionGroup var deviceOptions: DeviceOptions

  @Option(help: "How many times each kernel is timed.")
  var rounds = 5

  @Flag(help: "Remove what was written down for the device.")
  var forget = false

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  /// Another form than the one that suits the device has to be faster by this factor.
  private static let margin = 0.9

  func run() throws {
    guard rounds > 0 else { throw ValidationError("--rounds must be at least 1") }
    let choice = deviceOptions.device == "auto" ? "opencl" : deviceOptions.device
    guard choice != "cpu" else {
      throw ValidationError("--device cpu: the CPU path chooses its instructions by itself, nothing is tuned")
    }
    let device = try DeviceSelection.device(try DeviceSelection.description(choice).id)
    guard let folder = ProgramCache.defaultFolder() else {
      throw ValidationError("SOFTPROMPT_CACHE is off, so there is no place for a record")
    }
    if forget {
      let found = try TuningRecord.remove(device, in: folder)
      print(found ? "the record of \(device.id) is removed" : "there is no record of \(device.id)")
      return
    }
    let record = try measure(device)
    try record.write(for: device, in: folder)
    if json { return try Output.json(record) }
    report(record, device)
    print("\nwritten to \(TuningRecord.path(of: device, in: folder))")
  }

  private func measure(_ device: OpenCLDevice) throws -> TuningRecord {
    let suited = KernelVariant.suited(to: device)
    var milliseconds: [KernelVariants.Family: [KernelVariant: Double]] = [:]
    for variant in KernelVariant.allCases {
      if let reason = variant.reasonToSkip(on: device) {
        DeviceSelection.standardErrorNotice("\(variant.rawValue) kernels are not tried: \(reason)")
        continue
      }
      let backend: OpenCLBackend
      do {
        backend = try DeviceSelection.checked(device, variant: variant)
      } catch {
        DeviceSelection.standardErrorNotice("\(variant.rawValue) kernels are not tried: \(error)")
        continue
      }
      for family in KernelVariants.Family.allCases {
        milliseconds[family, default: [:]][variant] = try time(family, on: backend)
      }
    }
    var variants = KernelVariants(suited)
    for family in KernelVariants.Family.allCases {
      guard let times = milliseconds[family], let fastest = times.min(by: { $0.value < $1.value }) else {
        throw ComputeError.noSuchDevice("\(device.id): no kernels of it pass their self-test")
      }
      guard let known = times[suited], fastest.value > Self.margin * known else {
        variants[family] = fastest.key
        continue
      }
    }
    return TuningRecord(device: device, variants: variants, milliseconds: milliseconds)
  }

  /// The time of a family's benchmarks together, in milliseconds, gradients included.
  private func time(_ family: KernelVariants.Family, on backend: OpenCLBackend) throws -> Double {
    let stopwatch = Stopwatch(backend: backend, rounds: rounds)
    return try KernelBenchmark.select(filter: Self.benchmarks(of: family)).reduce(0) { sum, benchmark in
      let (forward, withGradient) = try benchmark.prepare(on: backend)
      return sum + 1e3 * (try stopwatch.median(withGradient ?? forward))
    }
  }

  /// The cases of `bench kernels` that stand for a family.
  private static func benchmarks(of family: KernelVariants.Family) -> String {
    switch family {
    case .products: "^matmul/m=(1|512),n=768,k=768,nn,frozen$"
    case .attention: "^attention/"
    case .rows: "^(softmax|layerNorm|gelu|adamW)/"
    }
  }

  private func report(_ record: TuningRecord, _ device: OpenCLDevice) {
    print("\(device.id): \(device.name)\n")
    let tried = KernelVariant.allCases.filter { record.milliseconds[.products]?[$0] != nil }
    Output.table(
      ["milliseconds"] + tried.map(\.rawValue) + ["used"],
      KernelVariants.Family.allCases.map { family in
        [family.rawValue] + tried.map { String(format: "%.3f", record.milliseconds[family]?[$0] ?? 0) }
          + [record.variants[family].rawValue]
      })
  }
}
