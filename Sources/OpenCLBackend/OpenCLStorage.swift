import COpenCL
import Compute

/// A driver's buffer and the bytes it really has.
struct DeviceBuffer {
  let handle: cl_mem
  let capacity: Int
}

/// Device memory of one tensor or of several views.
///
/// It goes back to the pool when the last reference goes.
final class OpenCLStorage: Storage {
  let byteCount: Int
  let buffer: DeviceBuffer
  /// Repacked forms of the contents, as a frozen weight, by how they were made.
  var packs: [WeightPack: OpenCLStorage] = [:]
  private let pool: BufferPool

  init(byteCount: Int, buffer: DeviceBuffer, pool: BufferPool) {
    self.byteCount = byteCount
    self.buffer = buffer
    self.pool = pool
  }

  func belongs(to pool: BufferPool) -> Bool { self.pool === pool }

  deinit { pool.giveBack(buffer) }
}
