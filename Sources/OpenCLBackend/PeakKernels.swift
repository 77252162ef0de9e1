import Compute

/// Multiply-adds without memory (peak.cl).
extension OpenCLBackend {
  /// Sums of a work-item (SUMS).
  private static let sums = 12

  /// Products of all variants multiply and add in `f32`, also what is stored in `bf16`.
  public func multiplyAdds(_ arithmetic: PeakArithmetic, rounds: Int) throws -> Double? {
    guard arithmetic == .f32 else { return nil }
    let width = ProgramKey.peakWidths(variant).first { $0 <= openCLDevice.nativeFloatVector } ?? 1
    let local = variant == .cpu ? 1 : min(128, openCLDevice.maximumWorkGroup)
    let groups = openCLDevice.computeUnits * (variant == .cpu ? 4 : 32)
    let output = try allocate([groups * local], .f32)
    try run(
      .peak(width: width), "multiply_adds", groups: [groups], local: [local],
      [.tensor(output), .int(rounds), .float(0.875), .float(0.125)])
    return 2 * Double(groups * local * width) * Double(Self.sums * rounds)
  }
}

extension ProgramKey {
  /// The vectors that the loop is built for: where a work-item is to fill a core, the device's own; else single floats.
  static func peakWidths(_ variant: KernelVariant) -> [Int] { variant == .cpu ? [16, 8, 4, 2, 1] : [1] }

  static func peak(width: Int) -> ProgramKey { ProgramKey(file: "peak.cl", parameters: ["WIDTH": width]) }
}
