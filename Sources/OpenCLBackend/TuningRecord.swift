import Compute
import Crypto
import Foundation

/// What was measured to be fastest on a device, kept beside the built programs.
///
/// It is measured once, by `softprompt tune`, and not whenever a backend opens: which kernels run decides the last bits
/// of every result, and equal runs are to give equal bits.
public struct TuningRecord: Sendable, Hashable, Codable {
  /// The device as it names itself, for people.
  public var device: String
  public var variants: KernelVariants
  /// Milliseconds of each family's benchmarks in each form that was tried.
  public var milliseconds: [KernelVariants.Family: [KernelVariant: Double]]

  public init(
    device: OpenCLDevice, variants: KernelVariants, milliseconds: [KernelVariants.Family: [KernelVariant: Double]]
  ) {
    self.device = device.name
    self.variants = variants
    self.milliseconds = milliseconds
  }

  /// Where the record of a device with its driver lies.
  public static func path(of device: OpenCLDevice, in folder: String) -> String {
    var hash = SHA256()
    for part in [
      device.name, device.vendor, device.deviceVersion, device.driverVersion, device.platformName,
      device.platformVersion,
    ] {
      hash.update(data: Data("\(part.utf8.count):\(part)".utf8))
    }
    return folder + "/tuning-" + hash.finalize().prefix(16).map { String(format: "%02x", $0) }.joined() + ".json"
  }

  /// The record of a device; nil if there is none.
  ///
  /// - Throws: `ComputeError.invalidArgument` naming a file that holds no record, or one that the device cannot run.
  public static func read(_ device: OpenCLDevice, in folder: String) throws -> TuningRecord? {
    let path = path(of: device, in: folder)
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    guard let record = try? JSONDecoder().decode(TuningRecord.self, from: data) else {
      throw ComputeError.invalidArgument(
        operation: path, "it holds no record of kernels; `softprompt tune` writes a new one")
    }
    for variant in record.variants.all {
      if let obstacle = variant.obstacle(on: device) {
        throw ComputeError.invalidArgument(operation: path, "\(variant.rawValue) kernels: \(obstacle)")
      }
    }
    return record
  }

  /// Puts the record in its place, at once or not at all.
  ///
  /// - Throws: an error of the file system.
  public func write(for device: OpenCLDevice, in folder: String) throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try encoder.encode(self).write(
      to: URL(fileURLWithPath: Self.path(of: device, in: folder)), options: .atomic)
  }

  /// Removes a device's record.
  ///
  /// - Returns: whether there was one.
  /// - Throws: an error of the file system.
  public static func remove(_ device: OpenCLDevice, in folder: String) throws -> Bool {
    let path = path(of: device, in: folder)
    guard FileManager.default.fileExists(atPath: path) else { return false }
    try FileManager.default.removeItem(atPath: path)
    return true
  }
}

extension KernelVariant: CodingKeyRepresentable {}
