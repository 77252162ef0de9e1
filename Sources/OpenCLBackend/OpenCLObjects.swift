import COpenCL
import Compute

/// Driver objects that a backend holds at the moment.
///
/// Events are asked for under a profile alone, and released as soon as their commands are noted.
public struct OpenCLObjects: Sendable, Hashable, Codable {
  /// Pieces of memory in use.
  public var buffers: Int
  /// Blocks of memory of which nothing is in use, kept for reuse.
  public var idleBlocks: Int
  /// Programs built or loaded; they are kept, so equal calls do not add any.
  public var programs: Int
  /// Kernels created; they are kept, so equal calls do not add any.
  public var kernels: Int
  /// What the driver counts as references to the context.
  ///
  /// Most drivers count one for every object that lives in it, so it grows where an object is lost that the other
  /// counts do not know of. 0 where the driver does not tell.
  public var contextReferences: Int
}

extension OpenCLBackend {
  /// The driver objects held now, after everything asked for is done.
  public func liveObjects() throws -> OpenCLObjects {
    try synchronize()
    return OpenCLObjects(
      buffers: pool.inUse, idleBlocks: pool.idleBlocks, programs: programs.programCount, kernels: programs.kernelCount,
      contextReferences: pool.contextReferences)
  }

  /// Programs and kernels; a driver's count of references to the context is no measure, some let go of them late.
  public func driverObjects() throws -> [String: Int] {
    let live = try liveObjects()
    return ["programs": live.programs, "kernels": live.kernels]
  }
}
