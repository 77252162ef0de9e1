import Compute
import Testing

@testable import CPUBackend

/// Every instruction set that this machine runs, on one thread and on more than it has cores.
struct Variant: CustomTestStringConvertible, Sendable {
  let instructionSet: InstructionSet
  let threads: Int

  static let all: [Variant] = InstructionSet.available.flatMap { set in
    [1, 5].map { Variant(instructionSet: set, threads: $0) }
  }

  static let oneThread: [Variant] = InstructionSet.available.map { Variant(instructionSet: $0, threads: 1) }

  var testDescription: String { "\(instructionSet), \(threads) threads" }

  func backend(threads: Int? = nil) throws -> CPUBackend {
    try CPUBackend(threads: threads ?? self.threads, instructionSet: instructionSet)
  }
}

/// Random numbers for operands and cotangents.
struct Numbers {
  private var philox: Philox

  init(_ seed: UInt64) { philox = Philox(seed: seed) }

  mutating func normal(_ count: Int, _ scale: Float = 1) -> [Float] {
    (0..<count).map { _ in philox.nextNormal() * scale }
  }

  mutating func indices(_ count: Int, below bound: Int) -> [Int32] {
    (0..<count).map { _ in Int32(philox.nextIndex(below: bound)) }
  }

  mutating func positive(_ count: Int) -> [Float] { (0..<count).map { _ in philox.nextUniform() + 0.01 } }
}

/// Fails unless every value is as expected up to `absolute + relative |expected|`; NaN equals only NaN.
func expectClose(
  _ got: [Float], _ expected: [Double], absolute: Double, relative: Double = 1e-6, _ label: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard got.count == expected.count else {
    Issue.record("\(label): \(got.count) values, not \(expected.count)", sourceLocation: sourceLocation)
    return
  }
  var worst = (index: -1, excess: 0.0)
  for (i, value) in expected.enumerated() {
    if value.isNaN && got[i].isNaN || Double(got[i]) == value { continue }
    let excess = abs(Double(got[i]) - value) / (absolute + relative * abs(value))
    guard excess <= 1 else {
      if worst.index < 0 || !(excess <= worst.excess) { worst = (i, excess) }
      continue
    }
  }
  if worst.index >= 0 {
    Issue.record(
      "\(label): at \(worst.index) \(got[worst.index]), expected \(expected[worst.index]) (\(worst.excess) tolerances)",
      sourceLocation: sourceLocation)
  }
}

/// The bits of a tensor's values.
func bits(_ backend: CPUBackend, _ tensor: Tensor) throws -> [UInt32] { try backend.values(tensor).map(\.bitPattern) }

extension CPUBackend {
  func normal(_ shape: Shape, _ numbers: inout Numbers, _ scale: Float = 1) throws -> Tensor {
    try tensor(numbers.normal(shape.count, scale), shape)
  }

  func doubles(_ tensor: Tensor) throws -> [Double] { try values(tensor).map(Double.init) }

  /// The same values, rounded to a 16-bit type.
  func narrowed(_ values: [Float], _ shape: Shape, _ dtype: DType) throws -> Tensor {
    guard dtype != .f32 else { return try tensor(values, shape) }
    let halves = values.map { dtype == .bf16 ? HalfPrecision.bf16($0) : HalfPrecision.f16($0) }
    let tensor = try allocate(shape, dtype)
    try halves.withUnsafeBytes { try write($0, to: tensor) }
    return tensor
  }
}

/// A value as it survives storage in a type.
func stored(_ value: Float, _ dtype: DType) -> Double {
  switch dtype {
  case .f32, .i32: Double(value)
  case .bf16: Double(HalfPrecision.float(bf16: HalfPrecision.bf16(value)))
  case .f16: Double(HalfPrecision.float(f16: HalfPrecision.f16(value)))
  }
}
