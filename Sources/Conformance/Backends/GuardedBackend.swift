import Compute

/// A backend whose tensors lie inside larger ones, between elements of a known pattern.
///
/// What a kernel writes outside its output is found afterwards; what it forgets to write stays a NaN; and tensors start
/// at places that are no multiple of a vector's width, as views do. Long ones start at multiples of 64 bytes, as most do:
/// kernels may write those another way.
final class GuardedBackend: ForwardingBackend {
  /// Elements before and behind a tensor: odd, so that vectors are misaligned, but for long ones.
  private static func guardCount(_ shape: Shape) -> Int { shape.count < 1 << 16 ? 37 : 64 }
  /// Pairs of bytes that make a NaN in `f32`, `bf16` and `f16` and a negative `i32`, and differ from one tensor to the
  /// next, so that a kernel that copies one tensor's surroundings to another's is found too.
  private static func pattern(_ number: Int) -> UInt16 { 0xFF81 + UInt16(number % 0x7E) }

  private var guarded: [(whole: Tensor, inner: Range<Int>)] = []

  override func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor {
    let guardCount = Self.guardCount(shape)
    let whole = try base.allocate([shape.count + 2 * guardCount], dtype)
    let pattern = [UInt16](repeating: Self.pattern(guarded.count), count: whole.byteCount / 2)
    try pattern.withUnsafeBytes { try base.write($0, to: whole) }
    guarded.append((whole, guardCount..<guardCount + shape.count))
    return Tensor(storage: whole.storage, offset: whole.offset + guardCount, shape: shape, dtype: dtype)
  }

  /// Where something was written outside a tensor, in words; nil if nowhere.
  func violation() throws -> String? {
    for (number, (whole, inner)) in guarded.enumerated() {
      var pairs = [UInt16](repeating: 0, count: whole.byteCount / 2)
      try pairs.withUnsafeMutableBytes { try base.read(whole, into: $0) }
      let size = whole.dtype.byteCount / 2
      let pattern = Self.pattern(number)
      for element in 0..<whole.count where !inner.contains(element) {
        guard pairs[element * size..<(element + 1) * size].allSatisfy({ $0 == pattern }) else {
          let place =
            element < inner.lowerBound
            ? "\(inner.lowerBound - element) before its start" : "\(element - inner.upperBound + 1) behind its end"
          return "memory outside tensor \(number + 1) of \(inner.count) elements was written, \(place)"
        }
      }
    }
    return nil
  }
}
