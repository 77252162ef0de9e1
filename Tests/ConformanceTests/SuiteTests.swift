import Conformance
import TestSupport
import Testing

@Suite struct SuiteTests {
  @Test(arguments: Backends.available)
  func quickCasesPass(_ device: TestBackend) throws {
    let report = try ConformanceSuite.run(try device.make(), quick: true) { report in
      if report.status != .passed { Issue.record("\(report.name): \(report.status) \(report.reason)") }
    }
    #expect(report.count(.passed) == report.cases.count)
    #expect(report.cases.count > 300)
  }
}
