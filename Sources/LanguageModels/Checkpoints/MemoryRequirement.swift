import Compute

/// Whether weights fit into a device's memory, asked before any of them is read.
enum MemoryRequirement {
  /// - Throws: `CheckpointError.tooLarge` with both numbers.
  static func check(_ needed: Int, path: String, on device: DeviceDescription) throws {
    guard needed <= device.memoryBytes else {
      throw CheckpointError.tooLarge(path: path, needed: needed, device: device.id, available: device.memoryBytes)
    }
  }
}
