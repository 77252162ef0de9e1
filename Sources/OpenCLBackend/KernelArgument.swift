import COpenCL
import Compute

/// An argument of a kernel.
///
/// Memory becomes two: the driver's buffer, and the index of the first element in it as a `ulong`.
enum KernelArgument {
  case tensor(Tensor)
  /// A null pointer if there is none.
  case optional(Tensor?)
  /// All of a storage, as elements of four bytes.
  case storage(OpenCLStorage)
  /// Memory of no storage, as elements of a type.
  case buffer(DeviceBuffer, DType)
  /// Bytes of local memory for each work-group.
  case local(Int)
  case int(Int)
  case size(Int)
  case float(Float)
  case bits(UInt64)

  func set(_ kernel: cl_kernel, _ place: inout cl_uint, _ check: (cl_int, cl_uint) throws -> Void) throws {
    func pass<Value>(_ value: Value) throws {
      try withUnsafeBytes(of: value) { try check(clSetKernelArg(kernel, place, $0.count, $0.baseAddress), place) }
      place += 1
    }
    func passMemory(_ buffer: DeviceBuffer, first: Int, elementSize: Int) throws {
      try pass(Optional(buffer.handle))
      try pass(UInt64(buffer.start / elementSize + first))
    }
    switch self {
    case .tensor(let tensor), .optional(.some(let tensor)):
      guard let storage = tensor.storage as? OpenCLStorage else {
        preconditionFailure("a tensor of another backend")
      }
      try passMemory(try storage.buffer(), first: tensor.offset, elementSize: tensor.dtype.byteCount)
    case .optional(.none):
      try check(clSetKernelArg(kernel, place, MemoryLayout<cl_mem?>.size, nil), place)
      place += 1
      try pass(UInt64(0))
    case .storage(let storage): try passMemory(try storage.buffer(), first: 0, elementSize: 4)
    case .buffer(let buffer, let type): try passMemory(buffer, first: 0, elementSize: type.byteCount)
    case .local(let byteCount):
      try check(clSetKernelArg(kernel, place, byteCount, nil), place)
      place += 1
    case .int(let value): try pass(Int32(value))
    case .size(let value): try pass(UInt64(value))
    case .float(let value): try pass(value)
    case .bits(let value): try pass(value)
    }
  }
}
