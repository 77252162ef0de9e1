import Compute
import Conformance
import Foundation
import TestSupport
import Testing

/// Notes which kernels are asked for.
private final class KernelLog: ForwardingBackend {
  private(set) var kernels: Set<String> = []

  override func perform(
    _ kernel: Kernel, inputs: [Tensor?], outputs: [Tensor], _ body: () throws -> Void
  ) throws {
    kernels.insert(kernel.rawValue)
    try body()
  }

  override func reduce(_ kernel: Kernel, _ input: Tensor, _ body: () throws -> Double) throws -> Double {
    kernels.insert(kernel.rawValue)
    return try body()
  }
}

/// Default bodies, on a backend that has nothing else and on the devices of this machine.
@Suite struct DefaultBodyTests {
  /// What a backend may leave out, as docs/backends.md has it.
  private static let optional: Set<String> = ["builtin"]

  private func run(_ backend: any ComputeBackend, filter: String? = nil, quick: Bool = false) throws {
    let report = try ConformanceSuite.run(backend, filter: filter, quick: quick) { report in
      let isLeftOut = report.status == .skipped && Self.optional.contains(report.operation)
      if report.status != .passed, !isLeftOut { Issue.record("\(report.name): \(report.status) \(report.reason)") }
    }
    #expect(report.count(.passed) > 300)
  }

  /// All cases, also those that are not quick.
  @Test func plainLoopsPassEveryCase() throws { try run(PlainLoopsBackend()) }

  /// On each device the default bodies compute the quick cases, and need the kernels that the guide requires.
  @Test(arguments: Backends.available)
  func defaultBodiesPass(_ device: TestBackend) throws {
    let log = KernelLog(try device.make())
    try run(RequiredKernels(log), quick: true)
    #expect(log.kernels == (try BackendGuide()).required)
  }

  /// A backend's own body is taken where it has one.
  @Test func ownBodiesComeFirst() throws {
    let log = KernelLog(try Backends.cpu.make())
    let backend: any ComputeBackend = log
    let x = try backend.tensor([1, 2, 3, 4], [2, 2])
    _ = try backend.gated(.silu, gate: x, up: x)
    _ = try backend.columnSums(x)
    _ = try backend.softmaxBackward(x, y: x)
    _ = try backend.sum(x)
    #expect(log.kernels == ["gated", "columnSums", "softmaxBackward", "sum"])
  }
}
