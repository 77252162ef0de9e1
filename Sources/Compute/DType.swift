/// The element type of a tensor as it lies in memory.
///
/// Arithmetic always accumulates in `f32`.
public enum DType: String, Sendable, Hashable, CaseIterable {
  case f32
  case bf16
  case f16
  case i32

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .f32, .i32: 4
    case .bf16, .f16: 2
    }
  }

  /// Whether a weight may be kept in this type.
  public var isFloatingPoint: Bool { self != .i32 }
}
