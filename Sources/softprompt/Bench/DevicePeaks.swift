import Compute
import Foundation

/// What a device does at most, measured now.
struct DevicePeaks: Encodable {
  /// Multiply-adds of `f32` values in registers, in 10^9 operations a second; nil where the backend has no loop for it.
  let gflops: Double?
  /// Products of `bf16` values; nil where no product of the backend uses such arithmetic.
  let bfloat16: Double?
  /// Reading and writing memory, both counted, in 10^9 bytes a second.
  let bandwidth: Double

  enum CodingKeys: String, CodingKey {
    case gflops
    case bfloat16 = "bf16_gflops"
    case bandwidth = "gigabytes_per_second"
  }

  /// Bytes of a tensor that is copied: too many for any cache.
  private static let copiedBytes = 256 << 20

  /// - Throws: what the device fails with.
  init(measuredOn backend: any ComputeBackend) throws {
    gflops = try Self.arithmetic(.f32, backend)
    bfloat16 = try Self.arithmetic(.bf16, backend)
    let count = min(Self.copiedBytes, backend.device.memoryBytes / 16) / 4
    let (source, target) = (try backend.zeros([count]), try backend.zeros([count]))
    // A driver's copy may run on one core alone; a kernel that reads and writes uses all of them.
    let copy = try Self.fastest(backend) { try backend.copy(source, to: target) }
    let scale = try Self.fastest(backend) { try backend.scale(source, by: 1, into: target) }
    bandwidth = 1e-9 * 8 * Double(count) / min(copy, scale)
  }

  private init(gflops: Double?, bfloat16: Double?, bandwidth: Double) {
    self.gflops = gflops
    self.bfloat16 = bfloat16
    self.bandwidth = bandwidth
  }

  /// The larger figures of two measurements, as one before and one after what they are compared with: a machine that has
  /// other things to do is slower at times.
  func best(_ other: DevicePeaks) -> DevicePeaks {
    func best(_ a: Double?, _ b: Double?) -> Double? { a.map { max($0, b ?? $0) } ?? b }
    return DevicePeaks(
      gflops: best(gflops, other.gflops), bfloat16: best(bfloat16, other.bfloat16),
      bandwidth: max(bandwidth, other.bandwidth))
  }

  /// Peaks are what is reached at best, so the fastest of several runs counts.
  private static func fastest(_ backend: any ComputeBackend, _ body: () throws -> Void) throws -> Double {
    let clock = ContinuousClock()
    try backend.synchronize()
    return try (0..<5).map { _ in
      try clock.measure {
        try body()
        try backend.synchronize()
      } / .seconds(1)
    }.min() ?? .infinity
  }

  private static func arithmetic(_ kind: PeakArithmetic, _ backend: any ComputeBackend) throws -> Double? {
    // Long enough that starting it does not count.
    var rounds = 1 << 10
    while true {
      guard let flops = try backend.multiplyAdds(kind, rounds: rounds) else { return nil }
      let seconds = try fastest(backend) { _ = try backend.multiplyAdds(kind, rounds: rounds) }
      if seconds > 0.02 || rounds > 1 << 28 { return 1e-9 * flops / seconds }
      rounds *= seconds < 0.002 ? 8 : 2
    }
  }

  /// The peak of the arithmetic that a product uses: `f32` where operands are rounded but then multiplied as `f32`.
  func gflops(rounded: Bool) -> Double? { rounded ? bfloat16 ?? gflops : gflops }

  /// The share of the limit that work in a time comes to, and what that limit is.
  func share(of work: Work, rounded: Bool = false, seconds: Double) -> PeakShare {
    let arithmetic = gflops(rounded: rounded).map { 1e-9 * work.flops / $0 } ?? 0
    let memory = 1e-9 * work.bytes / bandwidth
    return PeakShare(
      percent: 100 * max(arithmetic, memory) / seconds, bound: arithmetic > memory ? .arithmetic : .memory)
  }

  /// One line for people.
  var description: String {
    var parts = gflops.map { [String(format: "%.1f GFLOP/s f32", $0)] } ?? []
    if let bfloat16 { parts.append(String(format: "%.1f GFLOP/s bf16", bfloat16)) }
    parts.append(String(format: "%.1f GB/s copying (read and write)", bandwidth))
    return "peaks, measured before and after: " + parts.joined(separator: ", ")
  }
}

/// How much of a device's limit something reaches.
struct PeakShare {
  /// What takes longer at the peaks: the operations or the bytes.
  enum Bound: String, Encodable {
    case arithmetic
    case memory
  }

  let percent: Double
  let bound: Bound

  var text: String { String(format: "%.0f", percent) }
}
