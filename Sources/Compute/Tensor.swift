/// Device memory that a backend handed out.
///
/// It knows its size in bytes, and nothing of shapes or types.
///
/// The memory goes back to the backend's pool when the last reference goes.
public protocol Storage: AnyObject {
  /// Usable bytes.
  var byteCount: Int { get }
}

/// A dense, row-major array on a device: storage, the place of its first element, a shape and an element type.
///
/// A tensor is a reference: copying the value shares the memory. Views (`rows`, `reshaped`) share it too.
public struct Tensor {
  public let storage: any Storage
  /// Index of the first element inside `storage`, in elements.
  public let offset: Int
  public let shape: Shape
  public let dtype: DType

  public init(storage: any Storage, offset: Int = 0, shape: Shape, dtype: DType) {
    precondition(
      offset >= 0 && (offset + shape.count) * dtype.byteCount <= storage.byteCount,
      "a tensor reaches beyond its storage")
    self.storage = storage
    self.offset = offset
    self.shape = shape
    self.dtype = dtype
  }

  public var count: Int { shape.count }
  public var byteCount: Int { shape.count * dtype.byteCount }
  public var isEmpty: Bool { count == 0 }
  /// The product of all dimensions but the last.
  public var rowCount: Int { shape.rows }
  /// The last dimension.
  public var columnCount: Int { shape.columns }

  /// The same elements under another shape.
  ///
  /// - Throws: `ComputeError.shapeMismatch` if the number of elements differs.
  public func reshaped(_ shape: Shape) throws -> Tensor {
    guard shape.count == count else {
      throw ComputeError.shapeMismatch(operation: "reshape", self.shape, shape)
    }
    return Tensor(storage: storage, offset: offset, shape: shape, dtype: dtype)
  }

  /// A view `[range.count, columns]` of consecutive rows of a matrix `[rows, columns]`.
  ///
  /// - Throws: `ComputeError.invalidArgument` if the range reaches beyond the rows.
  public func rows(_ range: Range<Int>) throws -> Tensor {
    guard shape.rank == 2, range.lowerBound >= 0, range.upperBound <= shape[0] else {
      throw ComputeError.invalidArgument(
        operation: "sliceRows", "rows \(range.lowerBound)..<\(range.upperBound) of a tensor \(shape)")
    }
    return Tensor(
      storage: storage, offset: offset + range.lowerBound * columnCount,
      shape: [range.count, columnCount], dtype: dtype)
  }
}
