/// Reductions to a number on the host.
///
/// They wait for the device.
public protocol ReductionKernels: AnyObject {
  /// The sum of squares of all elements, each partial sum in f32 over at most a few thousand elements, the rest in
  /// Double.
  ///
  /// NaN and infinity pass through.
  func sumOfSquares(_ x: Tensor) throws -> Double

  /// The sum of all elements, with the same precision.
  func sum(_ x: Tensor) throws -> Double

  /// The place of the first NaN or infinity, or nil.
  func firstNonFinite(_ x: Tensor) throws -> Int?
}
