import COpenCL
import Compute

/// Consecutive bytes of a driver's buffer.
struct DeviceBuffer {
  let handle: cl_mem
  /// The first of them, in bytes from the buffer's first.
  let start: Int
  /// As many as can be used; at least as many as were asked for.
  let capacity: Int

  /// The bytes behind the first `count` ones.
  func dropFirst(_ count: Int) -> DeviceBuffer {
    DeviceBuffer(handle: handle, start: start + count, capacity: capacity - count)
  }
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
  /// Where the contents lie if they are memory of the host.
  private let borrowed: BorrowedBuffer?
  /// Whether that memory counts as in use.
  private var countsBorrowed = false

  init(byteCount: Int, buffer: DeviceBuffer, pool: BufferPool) {
    self.byteCount = byteCount
    held = buffer
    borrowed = nil
    self.pool = pool
  }

  init(borrowed: BorrowedBuffer, pool: BufferPool) {
    byteCount = borrowed.buffer.capacity
    held = borrowed.buffer
    self.borrowed = borrowed
    self.pool = pool
    pool.countBorrowed(byteCount)
    countsBorrowed = true
  }

  /// Whether the contents are memory of the host, of which the device has no copy but repacked ones.
  var isBorrowed: Bool { borrowed != nil }

  /// Lets the system have the host's memory back until the contents are read again, if they are borrowed.
  ///
  /// No command may be reading them, and nothing may have been written to them.
  func releaseBorrowed() {
    borrowed?.release()
    stopCounting()
  }

  private func stopCounting() {
    guard countsBorrowed else { return }
    pool.countBorrowed(-byteCount)
    countsBorrowed = false
  }

  func belongs(to pool: BufferPool) -> Bool { self.pool === pool }

  /// The buffer with the contents, which are made again if they were let go.
  ///
  /// - Parameter staying: they are not let go another time.
  /// - Throws: `ComputeError.outOfMemory`; what the device fails with.
  func buffer(staying: Bool = true) throws -> DeviceBuffer {
    if let held { return held }
    let buffer = try pool.take(byteCount)
    do {
      try restoring?(buffer)
    } catch {
      pool.giveBack(buffer)
      throw error
    }
    (held, restoring, isNeeded) = (buffer, nil, isNeeded || staying)
    return buffer
  }

  /// Gives the contents back to the pool, unless something other than packing turned out to need them.
  ///
  /// - Parameter restore: writes them into a buffer, from what is kept instead.
  func letGo(restore: @escaping (DeviceBuffer) throws -> Void) {
    guard let buffer = held, borrowed == nil, !isNeeded else { return }
    held = nil
    restoring = restore
    pool.giveBack(buffer)
  }

  deinit {
    if let held, borrowed == nil { pool.giveBack(held) }
    stopCounting()
  }
}
