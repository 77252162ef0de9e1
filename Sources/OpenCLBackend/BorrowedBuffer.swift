import COpenCL
import Compute

/// Memory of the host that a buffer of the driver stands for.
final class BorrowedBuffer {
  let buffer: DeviceBuffer
  private let memory: any HostMemory
  private let range: Range<Int>

  fileprivate init(_ buffer: DeviceBuffer, _ memory: any HostMemory, _ range: Range<Int>) {
    self.buffer = buffer
    self.memory = memory
    self.range = range
  }

  deinit { clReleaseMemObject(buffer.handle) }

  /// Lets the system have the memory back; reading it again reads the file again.
  func release() { memory.release(range) }
}

extension OpenCLBackend {
  /// Smaller tensors are copied: a buffer of their own would cost more.
  private static let smallestBorrowed = 1 << 20

  /// On processors, whose products read frozen weights a strip at a time, or once to pack them for few rows: a copy in
  /// the device's memory would be made for nothing.
  public func borrow(_ range: Range<Int>, of memory: any HostMemory, _ shape: Shape, _ dtype: DType) throws -> Tensor? {
    guard openCLDevice.kind == .cpu, variants.products == .cpu, !hasExactBuffers, shape.rank == 2,
      range.count == shape.count * dtype.byteCount, range.count >= Self.smallestBorrowed,
      let start = memory.bytes.baseAddress.map({ UnsafeMutableRawPointer(mutating: $0) + range.lowerBound }),
      UInt(bitPattern: start) % UInt(dtype.byteCount) == 0
    else { return nil }
    var status: cl_int = CL_SUCCESS
    let flags = cl_mem_flags(CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR)
    // A driver that cannot use the memory as it is gets a copy, as every other device does.
    guard let handle = clCreateBuffer(pool.context, flags, range.count, start, &status), status == CL_SUCCESS else {
      return nil
    }
    let buffer = DeviceBuffer(handle: handle, start: 0, capacity: range.count)
    let storage = OpenCLStorage(borrowed: BorrowedBuffer(buffer, memory, range), pool: pool)
    return Tensor(storage: storage, shape: shape, dtype: dtype)
  }
}
