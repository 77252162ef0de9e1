import COpenCL
import Compute

/// How large the buffers of a pool are.
enum BufferSizes {
  /// In steps, and kept for reuse.
  case pooled
  /// As large as asked for, never kept.
  case exact
}

/// Buffers of a context, kept for reuse by size.
///
/// Commands run in order on one queue, so a buffer may be handed out again while commands that use its former contents
/// still wait.
final class BufferPool {
  private(set) var usage = MemoryUsage()
  /// Buffers that the driver holds for this pool, in use or kept.
  private(set) var live = 0
  /// Those of them that wait for reuse.
  var kept: Int { free.values.reduce(0) { $0 + $1.count } }
  let context: cl_context
  private let device: OpenCLDevice
  private let limit: Int
  private let sizes: BufferSizes
  private var free: [Int: [DeviceBuffer]] = [:]

  /// Bytes that may be kept beyond what was once in use: buffers of neighbouring sizes do not fit each other's requests.
  private static let spare = 64 << 20

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

  /// What the driver counts as references to the context; 0 if it does not tell.
  var contextReferences: Int {
    var count: cl_uint = 0
    let status = clGetContextInfo(
      context, cl_context_info(CL_CONTEXT_REFERENCE_COUNT), MemoryLayout<cl_uint>.size, &count, nil)
    return status == CL_SUCCESS ? Int(count) : 0
  }

  /// A buffer of at least that many bytes.
  ///
  /// - Throws: `ComputeError.outOfMemory`.
  func take(_ byteCount: Int) throws -> DeviceBuffer {
    let capacity =
      switch sizes {
      case .pooled: Self.capacity(for: byteCount)
      case .exact: max(byteCount, 1)
      }
    if let buffer = free[capacity]?.popLast() {
      usage.pooled -= capacity
      count(capacity)
      return buffer
    }
    guard capacity <= device.maximumAllocation else {
      throw ComputeError.outOfMemory(
        device: device.id, requested: byteCount,
        detail: "the device's largest allocation is \(device.maximumAllocation) bytes")
    }
    var (handle, status) = create(capacity)
    if handle == nil, OpenCLStatus.isOutOfMemory(status), usage.pooled > 0 {
      trim()
      (handle, status) = create(capacity)
    }
    guard let handle, status == CL_SUCCESS else {
      throw ComputeError.outOfMemory(
        device: device.id, requested: byteCount,
        detail: "\(OpenCLStatus.name(status)), \(usage.current) bytes in use")
    }
    live += 1
    count(capacity)
    return DeviceBuffer(handle: handle, capacity: capacity)
  }

  func giveBack(_ buffer: DeviceBuffer) {
    usage.current -= buffer.capacity
    // Batches of ever new sizes would otherwise pile up buffers that fit nothing.
    let bound = min(limit, usage.peak - usage.current + Self.spare)
    guard case .pooled = sizes, usage.pooled + buffer.capacity <= bound else {
      release(buffer)
      return
    }
    usage.pooled += buffer.capacity
    free[buffer.capacity, default: []].append(buffer)
  }

  /// Returns everything unused to the driver.
  func trim() {
    for buffer in free.values.joined() { release(buffer) }
    free = [:]
    usage.pooled = 0
  }

  private func create(_ capacity: Int) -> (cl_mem?, cl_int) {
    if device.kind == .cpu, case .pooled = sizes, let memory = LargePages.allocate(capacity) {
      return create(in: memory, capacity)
    }
    var status: cl_int = CL_SUCCESS
    let handle = clCreateBuffer(context, cl_mem_flags(CL_MEM_READ_WRITE), capacity, nil, &status)
    return (status == CL_SUCCESS ? handle : nil, status)
  }

  /// A buffer in memory of the host, which goes when the driver is done with the buffer.
  private func create(in memory: UnsafeMutableRawPointer, _ capacity: Int) -> (cl_mem?, cl_int) {
    var status: cl_int = CL_SUCCESS
    let flags = cl_mem_flags(CL_MEM_READ_WRITE) | cl_mem_flags(CL_MEM_USE_HOST_PTR)
    guard let handle = clCreateBuffer(context, flags, capacity, memory, &status), status == CL_SUCCESS else {
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

  private func release(_ buffer: DeviceBuffer) {
    clReleaseMemObject(buffer.handle)
    live -= 1
  }

  private func count(_ capacity: Int) {
    usage.current += capacity
    usage.peak = max(usage.peak, usage.current)
  }

  /// Sizes are rounded up in steps of an eighth of their power of two, so that nearly equal sizes share a bucket and at
  /// most an eighth is lost.
  static func capacity(for byteCount: Int) -> Int {
    let needed = max(byteCount, 256)
    let step = max(256, (1 << (Int.bitWidth - 1 - needed.leadingZeroBitCount)) / 8)
    return (needed + step - 1) / step * step
  }
}
