import Compute
import Foundation

extension CPUBackend {
  public func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor {
    var bytes = dtype.byteCount
    for dimension in shape.dimensions {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: dimension)
      guard !overflow else {
        throw ComputeError.outOfMemory(device: device.id, requested: .max, detail: "a tensor \(shape)")
      }
      bytes = product
    }
    return Tensor(storage: try pool.allocate(bytes), shape: shape, dtype: dtype)
  }

  public func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    guard bytes.count == tensor.byteCount else {
      throw ComputeError.invalidArgument(
        operation: "write", "\(bytes.count) bytes for a tensor \(tensor.shape) of \(tensor.byteCount)")
    }
    if let source = bytes.baseAddress, bytes.count > 0 { memcpy(tensor.bytes, source, bytes.count) }
  }

  public func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    guard bytes.count == tensor.byteCount else {
      throw ComputeError.invalidArgument(
        operation: "read", "\(bytes.count) bytes for a tensor \(tensor.shape) of \(tensor.byteCount)")
    }
    if let destination = bytes.baseAddress, bytes.count > 0 { memcpy(destination, tensor.bytes, bytes.count) }
  }

  public func fill(_ tensor: Tensor, with value: Float) throws {
    let output = tensor.floats
    workers.runRanges(tensor.count, grain: Self.elementGrain) { range, _ in
      tiles.fill(output + range.lowerBound, value, Int64(range.count))
    }
  }

  public func copy(_ source: Tensor, to destination: Tensor) throws {
    let (from, to) = (source.bytes, destination.bytes)
    workers.runRanges(source.byteCount, grain: 4 * Self.elementGrain) { range, _ in
      memcpy(to + range.lowerBound, from + range.lowerBound, range.count)
    }
  }

  /// Memory of the host is memory of every `CPUBackend`.
  public func owns(_ tensor: Tensor) -> Bool { tensor.storage is CPUStorage }

  /// Every call has finished when it returns.
  public func synchronize() throws {}
}
