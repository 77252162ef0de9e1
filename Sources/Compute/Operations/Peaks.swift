/// A kind of arithmetic whose peak rate can be measured.
public enum PeakArithmetic: String, Sendable, Hashable, CaseIterable, Codable {
  /// Fused multiply-adds of `f32` values.
  case f32
  /// Products of `bf16` values, summed in `f32`.
  case bf16
}

/// Loops that keep a device's arithmetic units busy and touch no memory, so that its peak can be measured.
public protocol PeakKernels: AnyObject {
  /// Multiplies and adds in registers, on all of the device, `rounds` times over.
  ///
  /// The default body knows of no such loop. May return before the device has finished.
  ///
  /// - Parameter rounds: how long it takes is proportional to this.
  /// - Returns: the floating-point operations asked for (a multiply-add counts two); nil where no product of this
  ///   backend uses such arithmetic.
  func multiplyAdds(_ arithmetic: PeakArithmetic, rounds: Int) throws -> Double?
}

extension PeakKernels {
  public func multiplyAdds(_ arithmetic: PeakArithmetic, rounds: Int) throws -> Double? { nil }
}
