import Compute

/// Multiply-adds without memory (peak.cl).
extension OpenCLBackend {
  /// Sums of a work-item (SUMS).
  private static let sums = 12

  /// Products of pairs of `bf16` values count where products use the processor's instruction for them; else they are
  /// multiplied and added as `f32`.
  public func multiplyAdds(_ arithmetic: PeakArithmetic, rounds: Int) throws -> Double? {
    let local = variant == .cpu ? 1 : min(128, openCLDevice.maximumWorkGroup)
    let groups = openCLDevice.computeUnits * (variant == .cpu ? 4 : 32)
    let output = try allocate([groups * local], .f32)
    let loops = 2 * Double(groups * local) * Double(Self.sums * rounds)
    switch arithmetic {
    case .f32:
      let width = ProgramKey.peakWidths(variant).first { $0 <= openCLDevice.nativeFloatVector } ?? 1
      try run(
        .peak(width: width), "multiply_adds", groups: [groups], local: [local],
        [.tensor(output), .int(rounds), .float(0.875), .float(0.125)])
      return loops * Double(width)
    case .bf16:
      guard variant == .cpu, try usesDotProducts() else { return nil }
      // 1 times 0.5 and 1 times -0.5, so that the sums stay as they are.
      try run(
        .dotPeak, "dot_products", groups: [groups], local: [local],
        [.tensor(output), .int(rounds), .int(0x3F80_3F80), .int(Int(Int32(bitPattern: 0xBF00_3F00)))])
      return loops * 32
    }
  }
}

extension ProgramKey {
  /// The vectors that the loop is built for: where a work-item is to fill a core, the device's own; else single floats.
  static func peakWidths(_ variant: KernelVariant) -> [Int] { variant == .cpu ? [16, 8, 4, 2, 1] : [1] }

  static func peak(width: Int) -> ProgramKey { ProgramKey(file: "peak.cl", parameters: ["WIDTH": width]) }

  /// Dot products of pairs of bfloat16 values by the processor's instruction.
  static let dotPeak = ProgramKey(file: "peak.cl", parameters: ["WIDTH": 16, "DOT": 1])
}
