/// Row numbers, labels or positions: known on the host, and lying on the device as `i32`.
///
/// They are checked once, when they are made, so that no kernel has to answer for a bad one.
public struct Indices {
  /// The values on the host.
  public let values: [Int32]
  /// The same values on the device, `[count]`, `i32`.
  public let tensor: Tensor
  /// The smallest value; `Int32.max` if there is none.
  public let minimum: Int32
  /// The largest value; `Int32.min` if there is none.
  public let maximum: Int32

  public var count: Int { values.count }

  init(values: [Int32], tensor: Tensor) {
    self.values = values
    self.tensor = tensor
    self.minimum = values.min() ?? .max
    self.maximum = values.max() ?? .min
  }

  /// - Throws: `ComputeError.indexOutOfRange` naming the first value outside `0..<bound` that is not `except`.
  func check(within bound: Int, except: Int32? = nil, operation: String) throws {
    if minimum >= 0, Int(maximum) < bound { return }
    for value in values where value != except && (value < 0 || Int(value) >= bound) {
      throw ComputeError.indexOutOfRange(operation: operation, index: Int(value), bound: bound)
    }
  }
}

extension ComputeBackend {
  /// Puts row numbers on the device.
  public func indices(_ values: [Int32]) throws -> Indices {
    let tensor = try allocate([values.count], .i32)
    try values.withUnsafeBytes { try write($0, to: tensor) }
    return Indices(values: values, tensor: tensor)
  }
}
