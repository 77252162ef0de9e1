import CPUBackend
import Compute
import Conformance
import OpenCLBackend

/// A device with one kind of its kernels, to be checked.
struct ConformanceSubject {
  /// What `--device` takes.
  var id: String
  var name: String
  /// The kind of kernels: a variant of an OpenCL device, an instruction set of the CPU.
  var variant: String?
  /// The one operation whose kernels are others than those of the usual form; nil for all.
  var operation: String?
  /// Why it cannot be run, or should not.
  var reasonToSkip: String?
  /// Opens the device.
  var open: () throws -> any ComputeBackend

  var title: String { "\(id): \(name)\(variant.map { ", \($0) kernels" } ?? "")" }

  /// What `--device` and `--variant` of `conformance` mean.
  ///
  /// - Parameters:
  ///   - device: as for other commands, or `all`: every device, and what is there but cannot be used.
  ///   - variant: nil for the kernels in use, `all` for every kind.
  /// - Throws: `ComputeError` for an unknown device or variant.
  static func all(device: String, variant: String?) throws -> [ConformanceSubject] {
    let devices = device == "all" ? try DeviceSelection.all() : [try DeviceSelection.description(device)]
    let subjects = try devices.flatMap { description in
      description.id == "cpu"
        ? try processor(description, variant) : try openCL(try DeviceSelection.device(description.id), variant)
    }
    guard device == "all" else { return subjects }
    return subjects
      + (try OpenCLDevices.unusable().map { unusable in
        ConformanceSubject(id: unusable.id, name: unusable.name, reasonToSkip: unusable.reason) {
          throw ComputeError.noSuchDevice("\(unusable.id): \(unusable.reason)")
        }
      })
  }

  private static func processor(_ device: DeviceDescription, _ variant: String?) throws -> [ConformanceSubject] {
    let names: [String]
    switch variant {
    case nil: names = CPUBackend.instructionSets.suffix(1)
    case "all": names = CPUBackend.instructionSets
    case .some(let name): names = [name]
    }
    return names.map { name in
      ConformanceSubject(id: device.id, name: device.name, variant: name) { try CPUBackend(instructionSet: name) }
    }
  }

  /// The `gpu` products in another form than the one that a case would get by itself.
  private struct Form {
    var suffix: String
    var large = false
    var tensor = false

    static let all = [
      Form(suffix: "-large", large: true), Form(suffix: "-tensor", tensor: true),
      Form(suffix: "-tensor-large", large: true, tensor: true),
    ]
  }

  private static func openCL(_ device: OpenCLDevice, _ variant: String?) throws -> [ConformanceSubject] {
    func subject(_ variant: KernelVariant, _ form: Form = Form(suffix: "")) -> ConformanceSubject {
      ConformanceSubject(
        id: device.id, name: device.name, variant: variant.rawValue + form.suffix,
        operation: form.suffix.isEmpty ? nil : "matmul"
      ) {
        try OpenCLBackend(
          device: device,
          options: OpenCLOptions(variant: variant, prefersLargeTiles: form.large, emulatesTensorCores: form.tensor))
      }
    }
    switch variant {
    case nil:
      let used = try OpenCLBackend(device: device).variants
      return [
        ConformanceSubject(id: device.id, name: device.name, variant: used.description) {
          try OpenCLBackend(device: device)
        }
      ]
    case "all":
      return KernelVariant.allCases.flatMap { variant in
        var usual = subject(variant)
        usual.reasonToSkip = variant.reasonToSkip(on: device)
        guard variant == .gpu, usual.reasonToSkip == nil else { return [usual] }
        return [usual]
          + Form.all.map { form in
            var other = subject(.gpu, form)
            if form.tensor {
              other.reasonToSkip = OpenCLBackend.obstacleToEmulation(on: device, largeTiles: form.large)
            }
            return other
          }
      }
    case .some(let name):
      if let form = Form.all.first(where: { "gpu" + $0.suffix == name }) { return [subject(.gpu, form)] }
      return [subject(try KernelVariant(named: name))]
    }
  }

  /// The cases that a filter asks for and that these kernels are there for.
  enum Selection {
    case none
    /// Those that this filter finds; nil for all.
    case cases(filter: String?)
  }

  /// - Throws: `ConformanceError` for a filter that finds nothing at all.
  func selection(_ filter: String?, quick: Bool) throws -> Selection {
    guard let operation else { return .cases(filter: filter) }
    let names = try ConformanceSuite.select(filter: filter, quick: quick).map(\.name)
    let own = names.filter { $0.hasPrefix(operation + "/") }
    guard own.count > 1 else { return own.first.map { .cases(filter: $0) } ?? .none }
    return .cases(filter: "^(?=\(operation)/)" + (filter.map { "(?=.*?(?:\($0)))" } ?? ""))
  }

  /// Whether every program of these kernels builds, with every set of its parameters, as cases of a report.
  func builds(on backend: any ComputeBackend, progress: (CaseReport) -> Void) -> [CaseReport] {
    guard let backend = backend as? OpenCLBackend, variant?.hasPrefix("gpu-") != true else { return [] }
    return backend.buildEveryProgram().map { build in
      let report = CaseReport(
        name: "program/\(build.name)", operation: "program", status: build.failure == nil ? .passed : .failed,
        reason: build.failure?.split(whereSeparator: \.isNewline).joined(separator: " | ") ?? "",
        seconds: build.seconds)
      progress(report)
      return report
    }
  }
}
