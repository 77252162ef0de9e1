import ArgumentParser
import CPUBackend
import Compute
import Foundation
import OpenCLBackend

/// The options of every command that computes.
struct DeviceOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where to compute: auto, cpu, opencl, opencl:P.D or part of a device's name.",
      discussion: "auto takes the best OpenCL device that passes its self-test, else the CPU, and says which.",
      valueName: "device"))
  var device = "auto"

  @Flag(help: "Refuse to run anything on another device than the one named by --device.")
  var strictDevice = false

  /// Opens the device.
  ///
  /// - Parameter notice: receives the one line that says why the CPU was taken, if it was.
  /// - Throws: `ComputeError.noSuchDevice`, or what the device failed with.
  func open(notice: (String) -> Void = DeviceSelection.standardErrorNotice) throws -> any ComputeBackend {
    try DeviceSelection.open(device, strict: strictDevice, notice: notice)
  }
}

/// Finds the device that a user asks for.
enum DeviceSelection {
  static func standardErrorNotice(_ line: String) {
    FileHandle.standardError.write(Data("softprompt: \(line)\n".utf8))
  }

  /// Opens a device by what `--device` says.
  static func open(_ choice: String, strict: Bool, notice: (String) -> Void) throws -> any ComputeBackend {
    switch choice {
    case "cpu": return try CPUBackend()
    case "auto":
      if strict { throw ComputeError.noSuchDevice("--strict-device needs a device named by --device, not auto") }
      return try automatic(notice)
    case "opencl":
      guard let device = ranked(try OpenCLDevices.list()).first else {
        throw ComputeError.noSuchDevice("--device opencl: this machine has no OpenCL device")
      }
      return try checked(device)
    default: return try named(choice)
    }
  }

  /// All devices: the CPU path and every OpenCL device.
  static func all() throws -> [DeviceDescription] {
    [try CPUBackend().device] + (try OpenCLDevices.list()).map(\.description)
  }

  /// The one device that `--device` means, without a self-test.
  static func description(_ choice: String) throws -> DeviceDescription {
    switch choice {
    case "cpu": return try CPUBackend().device
    case "auto", "opencl":
      if let device = ranked(try OpenCLDevices.list()).first { return device.description }
      guard choice == "auto" else {
        throw ComputeError.noSuchDevice("--device opencl: this machine has no OpenCL device")
      }
      standardErrorNotice("using the CPU: no OpenCL device found")
      return try CPUBackend().device
    default: return try device(choice).description
    }
  }

  private static func automatic(_ notice: (String) -> Void) throws -> any ComputeBackend {
    var reason = "no OpenCL device found"
    for device in ranked(try OpenCLDevices.list()) {
      do {
        return try checked(device)
      } catch {
        reason = "\(device.id) (\(device.name)) failed its self-test: \(error)"
      }
    }
    notice("using the CPU: \(reason)")
    return try CPUBackend()
  }

  private static func named(_ choice: String) throws -> any ComputeBackend { try checked(try device(choice)) }

  /// The one OpenCL device with this id or this part of its name.
  static func device(_ choice: String) throws -> OpenCLDevice {
    let devices = try OpenCLDevices.list()
    let matches =
      choice.hasPrefix("opencl:")
      ? devices.filter { $0.id == choice }
      : devices.filter { $0.name.localizedCaseInsensitiveContains(choice) }
    guard let match = matches.first else {
      let known = (["cpu"] + devices.map { "\($0.id) (\($0.name))" }).joined(separator: ", ")
      throw ComputeError.noSuchDevice("--device \(choice): no such device; this machine has \(known)")
    }
    guard matches.count == 1 else {
      let found = matches.map { "\($0.id) (\($0.name))" }.joined(separator: ", ")
      throw ComputeError.noSuchDevice("--device \(choice) fits several devices: \(found)")
    }
    return match
  }

  /// GPUs first, then accelerators, then processors; among equals the one with most compute units.
  private static func ranked(_ devices: [OpenCLDevice]) -> [OpenCLDevice] {
    let order: [OpenCLDevice.Kind] = [.gpu, .accelerator, .cpu]
    func rank(_ device: OpenCLDevice) -> Int { order.firstIndex(of: device.kind) ?? order.count }
    return devices.sorted { (rank($0), -$0.computeUnits, $0.id) < (rank($1), -$1.computeUnits, $1.id) }
  }

  /// Opens a device, with the kernels in use or those of a variant, after a self-test.
  static func checked(_ device: OpenCLDevice, variant: KernelVariant? = nil) throws -> OpenCLBackend {
    try OpenCLBackend.tested(device, OpenCLOptions(variant: variant), notice: standardErrorNotice)
  }
}
