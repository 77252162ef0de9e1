import Compute
import Testing

@testable import CPUBackend

@Suite struct MemoryTests {
  @Test func memoryIsCountedAndReused() throws {
    let backend = try CPUBackend(threads: 1)
    var tensor: Tensor? = try backend.allocate([1000, 1000], .f32)
    #expect(tensor != nil && backend.memory.current == 4_000_000 && backend.memory.peak == 4_000_000)
    let rest = backend.memory.pooled
    tensor = nil
    #expect(backend.memory.current == 0 && backend.memory.pooled == rest + 4_000_000)
    let again = try backend.allocate([1000, 1000], .f32)
    #expect(backend.memory.pooled == rest && backend.memory.peak == 4_000_000 && again.byteCount == 4_000_000)
    for shape: Shape in [[1 << 40, 1 << 10], [1 << 40, 1 << 40]] {
      #expect(throws: ComputeError.self) { _ = try backend.allocate(shape, .f32) }
    }
    #expect(throws: ComputeError.self) { _ = try CPUBackend(threads: 0) }
  }

  /// Requests of ever new sizes are served from what earlier ones gave back, and no two pieces overlap.
  @Test func piecesAreJoinedAgain() throws {
    let pool = MemoryPool(device: "cpu", limit: 1 << 30)
    var random = Philox(seed: 7)
    var pieces: [CPUStorage] = []
    for turn in 0..<600 {
      let size = random.nextIndex(below: 900_000) + 1
      if pieces.count == 40 { pieces.remove(at: random.nextIndex(below: 40)) }
      let piece = try pool.allocate(size)
      let range = UInt(bitPattern: piece.pointer)..<UInt(bitPattern: piece.pointer) + UInt(size)
      #expect(range.lowerBound % 64 == 0)
      for other in pieces {
        let start = UInt(bitPattern: other.pointer)
        #expect(!range.overlaps(start..<start + UInt(other.byteCount)), "request \(turn)")
      }
      pieces.append(piece)
    }
    // Forty pieces of at most 0.9 MB at a time: one block holds them all.
    #expect(pool.usage.pooled < 64 << 20)
    pieces = []
    let whole = try pool.allocate(64 << 20)
    #expect(pool.usage.pooled == 0 && pool.usage.current == 64 << 20 && whole.byteCount == 64 << 20)
  }

  /// What is far beyond the peak goes back to the system.
  @Test func largeBlocksAreNotKept() throws {
    let pool = MemoryPool(device: "cpu", limit: 1 << 40)
    var large: CPUStorage? = try pool.allocate(100 << 20)
    #expect(large != nil)
    large = nil
    #expect(pool.usage.pooled == 100 << 20)
    // Too large for the block that is kept.
    large = try pool.allocate(120 << 20)
    large = nil
    #expect(pool.usage.pooled <= (120 + 64) << 20)
    pool.trim()
    #expect(pool.usage.pooled == 0 && pool.usage.peak == 120 << 20)
  }
}
