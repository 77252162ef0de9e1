import Compute
import Foundation
import Synchronization

/// Aligned memory that goes back to its pool when the last reference goes.
final class CPUStorage: Storage {
  let pointer: UnsafeMutableRawPointer
  let byteCount: Int
  /// Bytes behind the pointer; at least `byteCount`.
  fileprivate let capacity: Int
  private let pool: MemoryPool

  fileprivate init(pointer: UnsafeMutableRawPointer, byteCount: Int, capacity: Int, pool: MemoryPool) {
    self.pointer = pointer
    self.byteCount = byteCount
    self.capacity = capacity
    self.pool = pool
  }

  deinit { pool.release(pointer, byteCount: byteCount, capacity: capacity) }
}

/// Hands out memory in a few sizes and keeps what comes back, never more than the program once needed at one time.
final class MemoryPool: Sendable {
  /// Addresses of free blocks by capacity; kept as integers because pointers cannot cross threads.
  private struct State {
    var free: [Int: [UInt]] = [:]
    var usage = MemoryUsage()
  }

  private let state = Mutex(State())
  private let device: String
  /// Bytes that may be in use together.
  private let limit: Int

  /// Beyond the peak, this much may be kept: blocks of neighbouring sizes do not fit each other's requests.
  private static let slack = 64 << 20
  private static let alignment = 64
  /// From here on blocks are aligned for, and asked to lie in, large pages.
  private static let largePage = 2 << 20

  init(device: String, limit: Int) {
    self.device = device
    self.limit = limit
  }

  deinit { trim() }

  var usage: MemoryUsage { state.withLock { $0.usage } }

  /// - Throws: `ComputeError.outOfMemory`.
  func allocate(_ byteCount: Int) throws -> CPUStorage {
    let capacity = Self.capacity(for: byteCount)
    let reused: UInt? = state.withLock { state in
      guard let address = state.free[capacity]?.popLast() else { return nil }
      state.usage.pooled -= capacity
      return address
    }
    var pointer = reused.flatMap { UnsafeMutableRawPointer(bitPattern: $0) }
    if pointer == nil {
      if byteCount > limit - usage.current {
        throw ComputeError.outOfMemory(
          device: device, requested: byteCount, detail: "\(usage.current) of \(limit) bytes are in use")
      }
      pointer = Self.map(capacity)
      if pointer == nil {
        trim()
        pointer = Self.map(capacity)
      }
    }
    guard let pointer else {
      throw ComputeError.outOfMemory(device: device, requested: byteCount, detail: "the system refused")
    }
    state.withLock { state in
      state.usage.current += byteCount
      state.usage.peak = max(state.usage.peak, state.usage.current)
    }
    return CPUStorage(pointer: pointer, byteCount: byteCount, capacity: capacity, pool: self)
  }

  fileprivate func release(_ pointer: UnsafeMutableRawPointer, byteCount: Int, capacity: Int) {
    let address = UInt(bitPattern: pointer)
    let kept = state.withLock { state in
      state.usage.current -= byteCount
      guard state.usage.current + state.usage.pooled + capacity <= state.usage.peak + Self.slack else { return false }
      state.free[capacity, default: []].append(address)
      state.usage.pooled += capacity
      return true
    }
    if !kept { free(pointer) }
  }

  /// Gives all free blocks back to the system.
  func trim() {
    let blocks = state.withLock { state in
      let blocks = state.free.values.flatMap { $0 }
      state.free = [:]
      state.usage.pooled = 0
      return blocks
    }
    for address in blocks { free(UnsafeMutableRawPointer(bitPattern: address)) }
  }

  /// Eight sizes between a power of two and the next, so that at most an eighth is wasted.
  private static func capacity(for byteCount: Int) -> Int {
    let bytes = max(byteCount, 512)
    let step = 1 << (Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount - 3)
    return (bytes + step - 1) / step * step
  }

  private static func map(_ capacity: Int) -> UnsafeMutableRawPointer? {
    var pointer: UnsafeMutableRawPointer?
    let large = capacity >= 2 * largePage
    guard posix_memalign(&pointer, large ? largePage : alignment, capacity) == 0 else { return nil }
    #if os(Linux)
      if large, let pointer { madvise(pointer, capacity, MADV_HUGEPAGE) }  // a hint; refusing it does no harm
    #endif
    return pointer
  }
}
