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

  private static func openCL(_ device: OpenCLDevice, _ variant: String?) throws -> [ConformanceSubject] {
    func subject(_ variant: KernelVariant, large: Bool = false) -> ConformanceSubject {
      ConformanceSubject(
        id: device.id, name: device.name, variant: variant.rawValue + (large ? "-large" : "")
      ) {
        try OpenCLBackend(device: device, options: OpenCLOptions(variant: variant, prefersLargeTiles: large))
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
        var small = subject(variant)
        small.reasonToSkip = variant.reasonToSkip(on: device)
        return variant == .gpu && small.reasonToSkip == nil ? [small, subject(.gpu, large: true)] : [small]
      }
    case "gpu-large": return [subject(.gpu, large: true)]
    case .some(let name): return [subject(try KernelVariant(named: name))]
    }
  }

  /// Whether every program of these kernels builds, with every set of its parameters, as cases of a report.
  func builds(on backend: any ComputeBackend, progress: (CaseReport) -> Void) -> [CaseReport] {
    guard let backend = backend as? OpenCLBackend, variant?.hasSuffix("-large") != true else { return [] }
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
