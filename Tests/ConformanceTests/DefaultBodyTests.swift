import Compute
import Conformance
import Foundation
import TestSupport
import Testing

/// Default bodies, on a backend that has nothing else and on those of this machine.
@Suite struct DefaultBodyTests {
  /// Whole runs take minutes in a debug build; with this set they are made.
  private static let runsEverything = ProcessInfo.processInfo.environment["SOFTPROMPT_ALL_CASES"] != nil

  private func run(_ backend: any ComputeBackend, mayLack lacking: Set<String> = []) throws {
    let report = try ConformanceSuite.run(backend, quick: !Self.runsEverything) { report in
      let isLacking = report.status == .skipped && lacking.contains(report.operation)
      if report.status != .passed, !isLacking {
        Issue.record("\(report.name): \(report.status) \(report.reason)")
      }
    }
    #expect(report.count(.passed) > 300)
  }

  @Test func plainLoopsPass() throws { try run(PlainLoopsBackend(), mayLack: ["builtin"]) }

  @Test(arguments: Backends.available)
  func defaultBodiesPass(_ device: TestBackend) throws {
    try run(RequiredKernels(try device.make()), mayLack: ["builtin"])
  }
}
