import Compute

/// Which form of the kernels runs.
public enum KernelVariant: String, Sendable, Hashable, CaseIterable, Codable {
  /// One work-item per register tile or row, in vectors of 16: for processors with vector instructions.
  case cpu
  /// Local-memory tiles and work-group reductions.
  case gpu
  /// One work-item per element or row, no local memory: right on every device.
  case plain

  /// Work-items of the largest work-group of the `gpu` form (matmul_gpu.cl).
  static let largestGroup = 256
  /// Bytes of local memory of the largest work-group of the `gpu` form: two slices of 16 by 132 floats.
  static let largestLocalMemory = 2 * 16 * 132 * 4

  /// The variant for a device, by what it says it can do; never by a vendor's name.
  ///
  /// A processor whose compiler keeps OpenCL vectors in vector registers (a native vector of at least four floats) gets
  /// `cpu`: one work-item fills a core. A processor whose compiler takes vectors apart and fills the registers with
  /// neighbouring work-items instead (a native vector of one float) must not: every float16 becomes 16 registers, a tile
  /// of 24 of them does not fit and takes minutes to compile; nor does it gain from copies into local memory, which is
  /// ordinary memory there. It gets `plain`, whose work-items are independent and small. Other devices get `gpu` where
  /// the largest work-group and its local memory fit, else `plain`.
  public static func suited(to device: OpenCLDevice) -> KernelVariant {
    if device.kind == .cpu {
      if device.nativeFloatVector >= 4 { return .cpu }
      if !device.hasDedicatedLocalMemory { return .plain }
    }
    return KernelVariant.gpu.obstacle(on: device) == nil ? .gpu : .plain
  }

  /// Why this form cannot run on a device; nil if it can.
  ///
  /// A form without an obstacle computes the right thing, if perhaps slowly.
  public func obstacle(on device: OpenCLDevice) -> String? {
    guard self == .gpu else { return nil }
    if device.maximumWorkGroup < Self.largestGroup {
      return "work-groups of \(Self.largestGroup) are needed, the device has \(device.maximumWorkGroup) at most"
    }
    if device.localMemoryBytes < Self.largestLocalMemory {
      return "\(Self.largestLocalMemory) bytes of local memory are needed, the device has \(device.localMemoryBytes)"
    }
    return nil
  }

  /// Why a run over every variant should leave this one out on a device; nil if it should not.
  ///
  /// Besides what cannot run at all, that is the `cpu` form where vectors are taken apart: it computes the right thing
  /// there, but compiling one of its programs takes minutes.
  public func reasonToSkip(on device: OpenCLDevice) -> String? {
    if self == .cpu, device.nativeFloatVector < 4 {
      return "its tiles of vectors of 16 floats take minutes to compile where the native vector has "
        + "\(device.nativeFloatVector)"
    }
    return obstacle(on: device)
  }

  /// The variant of that name.
  ///
  /// - Throws: `ComputeError.invalidArgument` naming those that there are.
  public init(named name: String) throws {
    guard let variant = KernelVariant(rawValue: name) else {
      let names = Self.allCases.map(\.rawValue).joined(separator: ", ")
      throw ComputeError.invalidArgument(operation: "kernel variant", "`\(name)` is none of \(names)")
    }
    self = variant
  }
}
