import COpenCL
import Compute

/// How memory is taken from the driver.
enum BufferSizes {
  /// In large blocks that are cut into what is asked for, and kept for reuse.
  case pooled
  /// As large as asked for, never kept.
  case exact
}

/// Memory of a context, cut from large buffers of the driver.
///
/// Commands run in order on one queue, so memory may be handed out again while commands that use its former contents
/// still wait.
final class BufferPool {
  private struct Block {
    let handle: cl_mem
    var space: FreeSpace
  }

  let context: cl_context
  /// Pieces that are in use.
  private(set) var inUse = 0
  private var counted = MemoryUsage()
  /// Bytes of the host's memory that tensors lie in, which is none of the pool's.
  private var borrowed = 0
  /// The most bytes of both.
  private var peak = 0
  /// Bytes of all blocks.
  private var held = 0
  private var blocks: [Block] = []
  private let device: OpenCLDevice
  /// Bytes that may be kept for reuse.
  private let limit: Int
  private let sizes: BufferSizes

  /// Free blocks beyond the peak that are kept: what lies scattered between pieces in use does not fit every request.
  private static let slack = 64 << 20
  /// Smaller requests share a buffer of this size.
  private static let blockSize = 64 << 20
  /// Pieces begin at multiples of this, as buffers do: more than any vector or memory transaction needs.
  private static let alignment = 256

  init(context: cl_context, device: OpenCLDevice, limit: Int, sizes: BufferSizes = .pooled) {
    self.context = context
    self.device = device
    self.limit = limit
    self.sizes = sizes
    clRetainContext(context)
  }

  deinit {
    trim()
    clReleaseContext(context)
  }

  var usage: MemoryUsage {
    MemoryUsage(
      current: counted.current + borrowed, peak: peak, pooled: blocks.reduce(0) { $0 + $1.space.count })
  }

  /// Counts memory of the host that tensors lie in, or with a negative number that they no longer do.
  func countBorrowed(_ byteCount: Int) {
    borrowed += byteCount
    peak = max(peak, counted.current + borrowed)
  }

  /// Buffers of the driver of which nothing is in use.
  var idleBlocks: Int { blocks.count { $0.space.isWhole } }

  /// What the driver counts as references to the context; 0 if it does not tell.
  var contextReferences: Int {
    var count: cl_uint = 0
    let status = clGetContextInfo(
      context, cl_context_info(CL_CONTEXT_REFERENCE_COUNT), MemoryLayout<cl_uint>.size, &count, nil)
    return status == CL_SUCCESS ? Int(count) : 0
  }

  /// Memory of at least that many bytes.
  ///
  /// - Throws: `ComputeError.outOfMemory`.
  func take(_ byteCount: Int) throws -> DeviceBuffer {
    let buffer: DeviceBuffer
    switch sizes {
    case .exact:
      buffer = DeviceBuffer(handle: try create(max(byteCount, 1)), start: 0, capacity: max(byteCount, 1))
    case .pooled:
      let size = max(Self.alignment, (byteCount + Self.alignment - 1) / Self.alignment * Self.alignment)
      let place = try blocks.bestPlace(holding: size, \.space) ?? (try addBlock(holding: size), 0)
      buffer = DeviceBuffer(
        handle: blocks[place.block].handle, start: blocks[place.block].space.take(size, fromPiece: place.piece),
        capacity: size)
    }
    inUse += 1
    counted.current += buffer.capacity
    counted.peak = max(counted.peak, counted.current)
    peak = max(peak, counted.current + borrowed)
    return buffer
  }

  func giveBack(_ buffer: DeviceBuffer) {
    inUse -= 1
    counted.current -= buffer.capacity
    guard let place = blocks.firstIndex(where: { $0.handle == buffer.handle }) else {
      clReleaseMemObject(buffer.handle)
      return
    }
    blocks[place].space.giveBack(buffer.start, buffer.capacity)
    let bound = min(counted.peak + Self.slack, counted.current + limit)
    if blocks[place].space.isWhole, held > bound { release(place) }
  }

  /// Returns every block of which nothing is in use to the driver.
  func trim() {
    for place in blocks.indices.reversed() where blocks[place].space.isWhole { release(place) }
  }

  /// Returns its place.
  private func addBlock(holding size: Int) throws -> Int {
    let capacity = max(size, min(Self.blockSize, device.maximumAllocation / Self.alignment * Self.alignment))
    blocks.append(Block(handle: try create(capacity), space: FreeSpace(capacity: capacity)))
    held += capacity
    return blocks.count - 1
  }

  private func release(_ place: Int) {
    let block = blocks.remove(at: place)
    held -= block.space.capacity
    clReleaseMemObject(block.handle)
  }

  private func create(_ byteCount: Int) throws -> cl_mem {
    func buffer() -> (cl_mem?, cl_int) {
      if device.kind == .cpu, case .pooled = sizes, let memory = LargePages.allocate(byteCount) {
        return create(in: memory, byteCount)
      }
      var status: cl_int = CL_SUCCESS
      let handle = clCreateBuffer(context, cl_mem_flags(CL_MEM_READ_WRITE), byteCount, nil, &status)
      return (status == CL_SUCCESS ? handle : nil, status)
    }
    guard byteCount <= device.maximumAllocation else {
      throw ComputeError.outOfMemory(
        device: device.id, requested: byteCount,
        detail: "the device's largest allocation is \(device.maximumAllocation) bytes")
    }
    // Processors lend memory that they do not have, and stop the program when it is used.
    if held + byteCount > device.memoryBytes { trim() }
    guard held + byteCount <= device.memoryBytes else {
      throw ComputeError.outOfMemory(
        device: device.id, requested: byteCount,
        detail: "\(counted.current) of \(device.memoryBytes) bytes are in use")
    }
    var (handle, status) = buffer()
    if handle == nil, OpenCLStatus.isOutOfMemory(status), idleBlocks > 0 {
      trim()
      (handle, status) = buffer()
    }
    guard let handle else {
      throw ComputeError.outOfMemory(
        device: device.id, requested: byteCount,
        detail: "\(OpenCLStatus.name(status)), \(counted.current) bytes in use")
    }
    return handle
  }

  /// A buffer in memory of the host, which goes when the driver is done with the buffer.
  private func create(in memory: UnsafeMutableRawPointer, _ byteCount: Int) -> (cl_mem?, cl_int) {
    var status: cl_int = CL_SUCCESS
    let flags = cl_mem_flags(CL_MEM_READ_WRITE) | cl_mem_flags(CL_MEM_USE_HOST_PTR)
    guard let handle = clCreateBuffer(context, flags, byteCount, memory, &status), status == CL_SUCCESS else {
      LargePages.free(memory)
      return (nil, status)
    }
    status = clSetMemObjectDestructorCallback(handle, { _, memory in LargePages.free(memory) }, memory)
    guard status == CL_SUCCESS else {
      clReleaseMemObject(handle)  // no command knows it yet, so it is gone now
      LargePages.free(memory)
      return (nil, status)
    }
    return (handle, status)
  }
}
