import Compute

/// A tensor on the host: what goes into an operation and what came out of it.
struct HostTensor: Sendable, Hashable {
  enum Elements: Sendable, Hashable {
    case f32([Float])
    case bf16([UInt16])
    case f16([UInt16])
    case i32([Int32])
    /// What a reduction to the host returned.
    case double([Double])
  }

  var shape: Shape
  var elements: Elements

  init(_ shape: Shape, _ values: [Float]) {
    precondition(values.count == shape.count)
    self.shape = shape
    self.elements = .f32(values)
  }

  init(_ shape: Shape, _ elements: Elements) {
    self.shape = shape
    self.elements = elements
  }

  /// These values in an element type; to nearest even.
  init(_ shape: Shape, _ values: [Float], _ dtype: DType) {
    switch dtype {
    case .f32: self.init(shape, .f32(values))
    case .bf16: self.init(shape, .bf16(values.map(HalfPrecision.bf16)))
    case .f16: self.init(shape, .f16(values.map(HalfPrecision.f16)))
    case .i32: self.init(shape, .i32(values.map { Int32($0) }))
    }
  }

  var dtype: DType {
    switch elements {
    case .f32, .double: .f32
    case .bf16: .bf16
    case .f16: .f16
    case .i32: .i32
    }
  }

  /// The exact values of the elements.
  var doubles: [Double] {
    switch elements {
    case .f32(let values): values.map(Double.init)
    case .bf16(let bits): bits.map { Double(HalfPrecision.float(bf16: $0)) }
    case .f16(let bits): bits.map { Double(HalfPrecision.float(f16: $0)) }
    case .i32(let values): values.map(Double.init)
    case .double(let values): values
    }
  }

  /// The elements of an `i32` tensor; empty for other types.
  var integers: [Int32] {
    if case .i32(let values) = elements { values } else { [] }
  }

  /// The same with 0 for f32 elements below the normal range.
  var withoutDenormals: HostTensor {
    guard case .f32(let values) = elements, values.contains(where: \.isSubnormal) else { return self }
    return HostTensor(shape, values.map { $0.isSubnormal ? 0 : $0 })
  }

  /// Equal shapes and equal bits.
  func hasSameBits(as other: HostTensor) -> Bool {
    guard shape == other.shape else { return false }
    return switch (elements, other.elements) {
    case (.f32(let a), .f32(let b)): zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
    case (.double(let a), .double(let b)): zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern }
    case (.bf16(let a), .bf16(let b)), (.f16(let a), .f16(let b)): a == b
    case (.i32(let a), .i32(let b)): a == b
    default: false
    }
  }

  func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch elements {
    case .f32(let values): try values.withUnsafeBytes(body)
    case .bf16(let bits), .f16(let bits): try bits.withUnsafeBytes(body)
    case .i32(let values): try values.withUnsafeBytes(body)
    case .double(let values): try values.withUnsafeBytes(body)
    }
  }
}

extension ComputeBackend {
  /// Copies a host tensor to the device, in its own element type.
  func upload(_ host: HostTensor) throws -> Tensor {
    let tensor = try allocate(host.shape, host.dtype)
    if !tensor.isEmpty { try host.withUnsafeBytes { try write($0, to: tensor) } }
    return tensor
  }

  /// Copies a tensor of any element type from the device.
  func download(_ tensor: Tensor) throws -> HostTensor {
    func elements<Element>(_ zero: Element) throws -> [Element] {
      var values = [Element](repeating: zero, count: tensor.count)
      if !tensor.isEmpty { try values.withUnsafeMutableBytes { try read(tensor, into: $0) } }
      return values
    }
    return switch tensor.dtype {
    case .f32: HostTensor(tensor.shape, .f32(try elements(0)))
    case .bf16: HostTensor(tensor.shape, .bf16(try elements(0)))
    case .f16: HostTensor(tensor.shape, .f16(try elements(0)))
    case .i32: HostTensor(tensor.shape, .i32(try elements(0)))
    }
  }
}
