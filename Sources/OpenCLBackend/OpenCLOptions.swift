import Kernels

/// Which form of the kernels runs.
public enum KernelVariant: String, Sendable, Hashable, CaseIterable {
  /// One work-item per register tile or row, in vectors of 16: for devices that are processors.
  case cpu
  /// Local-memory tiles and work-group reductions.
  case gpu
  /// One work-item per element or row, no local memory: right on every device.
  case plain

  /// The variant for a device, by its type and limits.
  static func suited(to device: OpenCLDevice) -> KernelVariant {
    switch device.kind {
    case .cpu: .cpu
    case .gpu, .accelerator:
      device.maximumWorkGroup >= 256 && device.localMemoryBytes >= 32 << 10 ? .gpu : .plain
    }
  }
}

/// Choices when an `OpenCLBackend` is made.
public struct OpenCLOptions: Sendable {
  /// The kernels to use; nil for those that suit the device.
  public var variant: KernelVariant?
  /// Where built programs are kept: a folder, nil for none.
  ///
  /// The default follows `SOFTPROMPT_CACHE` (a folder or `off`),
  /// else `$XDG_CACHE_HOME/softprompt`, else `~/.cache/softprompt`.
  public var cacheFolder: String?
  /// A folder to read kernels from instead of the built-in ones.
  ///
  /// The default follows `SOFTPROMPT_KERNELS`.
  public var kernelFolder: String?
  /// Unused memory that the pool keeps, in bytes; beyond it memory goes back to the driver.
  public var poolLimit: Int?
  /// Keep a frozen weight repacked for both the product and its input gradient, which takes as much memory again.
  ///
  /// Otherwise the first use is kept and the other one packs at every call, at a tenth or so of the product's time.
  public var packsBothWays: Bool

  public init(
    variant: KernelVariant? = nil, cacheFolder: String? = ProgramCache.defaultFolder(),
    kernelFolder: String? = KernelLibrary.folderFromEnvironment(), poolLimit: Int? = nil, packsBothWays: Bool = true
  ) {
    self.variant = variant
    self.cacheFolder = cacheFolder
    self.kernelFolder = kernelFolder
    self.poolLimit = poolLimit
    self.packsBothWays = packsBothWays
  }
}
