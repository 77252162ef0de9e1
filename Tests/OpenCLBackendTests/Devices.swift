import Compute
import Testing

@testable import OpenCLBackend

/// The devices to test on.
///
/// An environment without OpenCL has none, and tests that need one are disabled.
enum Devices {
  static let all: [OpenCLDevice] = ((try? OpenCLDevices.list()) ?? [])
  static var present: Bool { !all.isEmpty }

  /// Every device with every variant of the kernels that there is no reason to leave out.
  ///
  /// Made once: building kernels takes time.
  static let backends: [TestBackend] = all.flatMap { device in
    KernelVariant.allCases.filter { $0.reasonToSkip(on: device) == nil }.compactMap { variant in
      (try? OpenCLBackend(device: device, options: OpenCLOptions(variant: variant))).map {
        TestBackend(backend: $0)
      }
    }
  }

  /// The devices that run register tiles, told not to use an instruction of their processor.
  static let withoutDotProducts: [TestBackend] = all.filter { KernelVariant.cpu.reasonToSkip(on: $0) == nil }
    .compactMap {
      (try? OpenCLBackend(device: $0, options: OpenCLOptions(variant: .cpu, allowsDotProducts: false))).map {
        TestBackend(backend: $0)
      }
    }

  /// The devices that can compute step by step what tensor cores do, with tiles of both sizes.
  static let emulatingTensorCores: [TestBackend] = all.filter { KernelVariant.gpu.obstacle(on: $0) == nil }
    .flatMap { device in
      [false, true].filter { TensorForm.obstacle(on: device, largeTiles: $0) == nil }.compactMap { large in
        (try? OpenCLBackend(
          device: device,
          options: OpenCLOptions(variant: .gpu, prefersLargeTiles: large, emulatesTensorCores: true))).map {
            TestBackend(backend: $0)
          }
      }
    }
}

/// A backend with a name for the test report.
///
/// Unchecked because a backend is used from one thread at a time, which the serialized suites see to.
struct TestBackend: @unchecked Sendable, CustomTestStringConvertible {
  let backend: OpenCLBackend
  var testDescription: String { "\(backend.openCLDevice.id) \(backend.variants)" }
}

/// All tests that use a device: one after another, because a backend serves one thread at a time.
@Suite(.serialized, .enabled(if: Devices.present, "no OpenCL device is present"))
enum OnDevice {}

/// Reproducible numbers.
struct Random {
  private var generator: Philox

  init(_ seed: UInt64) { generator = Philox(seed: seed) }

  mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
    (0..<count).map { _ in generator.nextNormal() * scale }
  }

  mutating func indices(_ count: Int, below bound: Int) -> [Int32] {
    (0..<count).map { _ in Int32(generator.nextIndex(below: bound)) }
  }
}

/// Compares with a reference in Double: `|got - expected| <= absolute + relative |expected|`, NaN only where expected.
func expectClose(
  _ got: [Float], _ expected: [Double], absolute: Double, relative: Double = 1e-5, _ name: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard got.count == expected.count else {
    Issue.record("\(name): \(got.count) values instead of \(expected.count)", sourceLocation: sourceLocation)
    return
  }
  var wrong: [Int] = []
  var worst = (index: -1, excess: 0.0)
  for index in got.indices {
    let (value, wanted) = (Double(got[index]), expected[index])
    if value == wanted || (value.isNaN && wanted.isNaN) { continue }
    let excess = abs(value - wanted) / (absolute + relative * abs(wanted))
    guard excess <= 1 else {
      wrong.append(index)
      if worst.index < 0 || !(excess <= worst.excess) { worst = (index, excess) }
      continue
    }
  }
  if worst.index >= 0 {
    Issue.record(
      """
      \(name): \(wrong.count) of \(got.count) wrong from [\(wrong[0])] on; [\(worst.index)] is \(got[worst.index]), \
      not \(expected[worst.index]) (\(worst.excess) times the tolerance)
      """,
      sourceLocation: sourceLocation)
  }
}
