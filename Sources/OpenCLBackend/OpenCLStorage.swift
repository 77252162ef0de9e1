import COpenCL
import Compute

/// Consecutive bytes of a driver's buffer.
struct DeviceBuffer {
  let handle: cl_mem
  /// The first of them, in bytes from the buffer's first.
  let start: Int
  /// As many as can be used; at least as many as were asked for.
  let capacity: Int
}

/// Device memory of one tensor or of several views.
///
/// It goes back to the pool when the last reference goes.
final class OpenCLStorage: Storage {
  let byteCount: Int
  /// Repacked forms of the contents, as a frozen weight, by how they were made.
  var packs: [WeightPack: OpenCLStorage] = [:]
  /// Nil while the contents are kept repacked alone.
  private var held: DeviceBuffer?
  /// Fills a buffer from a repacked form; nil while the contents themselves are there.
  private var restoring: ((DeviceBuffer) throws -> Void)?
  /// The contents were let go and then needed, so they will be again.
  private var isNeeded = false
  private let pool: BufferPool

  init(byteCount: Int, buffer: DeviceBuffer, pool: BufferPool) {
    self.byteCount = byteCount
    held = buffer
    self.pool = pool
  }

  func belongs(to pool: BufferPool) -> Bool { self.pool === pool }

  /// The buffer with the contents, which are made again if they were let go.
  ///
  /// - Throws: `ComputeError.outOfMemory`; what the device fails with.
  func buffer() throws -> DeviceBuffer {
    if let held { return held }
    let buffer = try pool.take(byteCount)
    do {
      try restoring?(buffer)
    } catch {
      pool.giveBack(buffer)
      throw error
    }
    (held, restoring, isNeeded) = (buffer, nil, true)
    return buffer
  }

  /// Gives the contents back to the pool, unless something other than products turned out to need them.
  ///
  /// - Parameter restore: writes them into a buffer, from what is kept instead.
  func letGo(restore: @escaping (DeviceBuffer) throws -> Void) {
    guard let buffer = held, !isNeeded else { return }
    held = nil
    restoring = restore
    pool.giveBack(buffer)
  }

  deinit { if let held { pool.giveBack(held) } }
}
