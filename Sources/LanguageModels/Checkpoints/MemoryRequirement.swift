import Compute
import Foundation

/// Whether weights fit into a device's memory, asked before any of them is read.
enum MemoryRequirement {
  /// - Throws: `CheckpointError.tooLarge` with both numbers.
  static func check(_ needed: Int, path: String, on device: DeviceDescription) throws {
    let available = device.kind == .cpu ? min(device.memoryBytes, groupLimit() ?? .max) : device.memoryBytes
    guard needed <= available else {
      throw CheckpointError.tooLarge(path: path, needed: needed, device: device.id, available: available)
    }
  }

  /// The bytes that this process's control group may use; nil without a limit.
  static func groupLimit(
    files: [String] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
  ) -> Int? {
    let limits = files.compactMap { file -> Int? in
      guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
      // "max" where there is no limit.
      return Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    return limits.min()
  }
}
