import Compute
import Foundation
import Synchronization

/// Aligned memory that goes back to its pool when the last reference goes.
final class CPUStorage: Storage {
  let pointer: UnsafeMutableRawPointer
  let byteCount: Int
  private let pool: MemoryPool

  fileprivate init(pointer: UnsafeMutableRawPointer, byteCount: Int, pool: MemoryPool) {
    self.pointer = pointer
    self.byteCount = byteCount
    self.pool = pool
  }

  deinit { pool.release(pointer, byteCount: byteCount) }
}

/// Hands out pieces of large blocks, so that a program holds little more than it needs at one time.
final class MemoryPool: Sendable {
  /// Consecutive memory of the system.
  ///
  /// Addresses are integers because pointers cannot cross threads.
  private struct Block {
    let start: UInt
    var space: FreeSpace
  }

  private struct State {
    /// By address.
    var blocks: [Block] = []
    var mapped = 0
    var usage = MemoryUsage()
  }

  private let state = Mutex(State())
  private let device: String
  /// Bytes that may be in use together.
  private let limit: Int

  /// Free blocks beyond the peak that are kept: what lies scattered between pieces in use does not fit every request.
  private static let slack = 64 << 20
  /// Smaller requests share a block of this size.
  private static let blockSize = 64 << 20
  private static let alignment = 64
  /// Blocks are aligned for, and asked to lie in, large pages.
  private static let largePage = 2 << 20

  init(device: String, limit: Int) {
    self.device = device
    self.limit = limit
  }

  deinit { trim() }

  var usage: MemoryUsage {
    state.withLock { state in
      var usage = state.usage
      usage.pooled = state.blocks.reduce(0) { $0 + $1.space.count }
      return usage
    }
  }

  /// - Throws: `ComputeError.outOfMemory`.
  func allocate(_ byteCount: Int) throws -> CPUStorage {
    let size = Self.size(for: byteCount)
    let address: UInt? = try state.withLock { state in
      guard byteCount <= limit - state.usage.current else {
        throw ComputeError.outOfMemory(
          device: device, requested: byteCount, detail: "\(state.usage.current) of \(limit) bytes are in use")
      }
      guard let address = Self.take(size, from: &state) else { return nil }
      state.usage.current += byteCount
      state.usage.peak = max(state.usage.peak, state.usage.current)
      return address
    }
    guard let address, let pointer = UnsafeMutableRawPointer(bitPattern: address) else {
      throw ComputeError.outOfMemory(device: device, requested: byteCount, detail: "the system refused")
    }
    return CPUStorage(pointer: pointer, byteCount: byteCount, pool: self)
  }

  fileprivate func release(_ pointer: UnsafeMutableRawPointer, byteCount: Int) {
    let address = UInt(bitPattern: pointer)
    state.withLock { state in
      state.usage.current -= byteCount
      guard let place = state.blocks.lastIndex(where: { $0.start <= address }) else { return }
      state.blocks[place].space.giveBack(Int(address - state.blocks[place].start), Self.size(for: byteCount))
      if state.blocks[place].space.isWhole, state.mapped > state.usage.peak + Self.slack {
        Self.unmap(place, of: &state)
      }
    }
  }

  /// Gives all free blocks back to the system.
  func trim() { state.withLock { Self.trim(&$0) } }

  private static func trim(_ state: inout State) {
    for place in state.blocks.indices.reversed() where state.blocks[place].space.isWhole { unmap(place, of: &state) }
  }

  /// The address of bytes that were free.
  private static func take(_ size: Int, from state: inout State) -> UInt? {
    if let (place, piece) = state.blocks.bestPlace(holding: size, \.space) {
      return state.blocks[place].start + UInt(state.blocks[place].space.take(size, fromPiece: piece))
    }
    let capacity = max(blockSize, (size + largePage - 1) / largePage * largePage)
    guard let start = map(capacity, &state) else { return nil }
    var block = Block(start: start, space: FreeSpace(capacity: capacity))
    let address = start + UInt(block.space.take(size, fromPiece: 0))
    let place = state.blocks.firstIndex { $0.start > start } ?? state.blocks.endIndex
    state.blocks.insert(block, at: place)
    state.mapped += capacity
    return address
  }

  private static func map(_ capacity: Int, _ state: inout State) -> UInt? {
    var pointer: UnsafeMutableRawPointer?
    if posix_memalign(&pointer, largePage, capacity) != 0 {
      trim(&state)
      guard posix_memalign(&pointer, largePage, capacity) == 0 else { return nil }
    }
    #if os(Linux)
      if let pointer { madvise(pointer, capacity, MADV_HUGEPAGE) }  // a hint; refusing it does no harm
    #endif
    return pointer.map { UInt(bitPattern: $0) }
  }

  private static func unmap(_ place: Int, of state: inout State) {
    let block = state.blocks.remove(at: place)
    state.mapped -= block.space.capacity
    free(UnsafeMutableRawPointer(bitPattern: block.start))
  }

  private static func size(for byteCount: Int) -> Int {
    max(alignment, (byteCount + alignment - 1) / alignment * alignment)
  }
}
