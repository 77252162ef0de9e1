import COpenCL
import Compute

/// An argument of a kernel.
///
/// A tensor becomes two: its buffer, and the index of its first element as a `ulong`.
enum KernelArgument {
  case tensor(Tensor)
  /// A null pointer if there is none.
  case optional(Tensor?)
  /// A whole buffer, from its first element.
  case storage(OpenCLStorage)
  /// The same, of no storage.
  case buffer(DeviceBuffer)
  case int(Int)
  case size(Int)
  case float(Float)
  case bits(UInt64)

  func set(_ kernel: cl_kernel, _ place: inout cl_uint, _ check: (cl_int, cl_uint) throws -> Void) throws {
    func pass<Value>(_ value: Value) throws {
      try withUnsafeBytes(of: value) { try check(clSetKernelArg(kernel, place, $0.count, $0.baseAddress), place) }
      place += 1
    }
    switch self {
    case .tensor(let tensor), .optional(.some(let tensor)):
      guard let storage = tensor.storage as? OpenCLStorage else {
        preconditionFailure("a tensor of another backend")
      }
      try pass(Optional(storage.buffer().handle))
      try pass(UInt64(tensor.offset))
    case .optional(.none):
      try check(clSetKernelArg(kernel, place, MemoryLayout<cl_mem?>.size, nil), place)
      place += 1
      try pass(UInt64(0))
    case .storage(let storage):
      try pass(Optional(storage.buffer().handle))
      try pass(UInt64(0))
    case .buffer(let buffer):
      try pass(Optional(buffer.handle))
      try pass(UInt64(0))
    case .int(let value): try pass(Int32(value))
    case .size(let value): try pass(UInt64(value))
    case .float(let value): try pass(value)
    case .bits(let value): try pass(value)
    }
  }
}
