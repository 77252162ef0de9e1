import Compute
import Foundation
import Kernels

/// Choices when an `OpenCLBackend` is made.
public struct OpenCLOptions: Sendable {
  /// The kernels to use; nil for what `SOFTPROMPT_VARIANT` (`cpu`, `gpu` or `plain`) says, else those of the
  /// device's `TuningRecord`, else those that suit the device.
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
  /// Use the large tiles of the `gpu` products for every product that is not one of few rows.
  ///
  /// Otherwise only products with enough tiles to occupy the device use them, which for checking takes a lot of work.
  public var prefersLargeTiles: Bool
  /// For runs under a checking driver: every tensor gets a buffer of its own, of exactly its size, full of NaN at
  /// first, and no buffer is used again.
  ///
  /// What lies outside a tensor then lies outside its buffer, and what is read before it is written shows in the
  /// result. Slow. The default is whether `SOFTPROMPT_BUFFERS` is `exact`.
  public var exactBuffers: Bool

  /// Let a processor's own instruction multiply pairs of bfloat16 values, where it has one; nil for what `SOFTPROMPT_DOT`
  /// (`on` or `off`) says, else true.
  public var allowsDotProducts: Bool?

  public init(
    variant: KernelVariant? = nil, cacheFolder: String? = ProgramCache.defaultFolder(),
    kernelFolder: String? = KernelLibrary.folderFromEnvironment(), poolLimit: Int? = nil,
    prefersLargeTiles: Bool = false,
    exactBuffers: Bool = ProcessInfo.processInfo.environment["SOFTPROMPT_BUFFERS"] == "exact",
    allowsDotProducts: Bool? = nil
  ) {
    self.variant = variant
    self.cacheFolder = cacheFolder
    self.kernelFolder = kernelFolder
    self.poolLimit = poolLimit
    self.prefersLargeTiles = prefersLargeTiles
    self.exactBuffers = exactBuffers
    self.allowsDotProducts = allowsDotProducts
  }

  /// What `SOFTPROMPT_VARIANT` asks for.
  ///
  /// - Throws: `ComputeError.invalidArgument` if it names no variant.
  static func variantFromEnvironment() throws -> KernelVariant? {
    guard let name = ProcessInfo.processInfo.environment["SOFTPROMPT_VARIANT"], !name.isEmpty else { return nil }
    return try KernelVariant(named: name)
  }

  /// What `SOFTPROMPT_DOT` asks for.
  ///
  /// - Throws: `ComputeError.invalidArgument` if it is neither of the choices.
  static func dotProductsFromEnvironment(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> Bool? {
    guard let name = environment["SOFTPROMPT_DOT"], !name.isEmpty else { return nil }
    switch name {
    case "on": return true
    case "off": return false
    default:
      throw ComputeError.invalidArgument(operation: "SOFTPROMPT_DOT", "`\(name)` is none of on, off")
    }
  }
}
