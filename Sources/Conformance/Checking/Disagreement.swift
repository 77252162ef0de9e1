import Compute

/// A result of one device that another device contradicts.
public struct Disagreement: Error, Sendable, CustomStringConvertible {
  public let kernel: Kernel
  /// Sizes of the call's tensors.
  public let shapes: [Shape]
  /// Which of the kernel's outputs, counted from 0.
  public let output: Int
  /// The worst element, in row-major order.
  public let index: Int
  public let got: Float
  public let expected: Float
  /// How far apart rounding may leave the two.
  public let tolerance: Double
  public let device: String
  public let reference: String

  public var description: String {
    let sizes = shapes.map(\.description).joined(separator: ", ")
    return
      "\(device) disagrees with \(reference): \(kernel.rawValue) of \(sizes): element \(index) of result \(output) "
      + "is \(got), not \(expected) (rounding explains \(Float(tolerance)))"
  }
}
