import Foundation
import TestSupport
import Testing

@testable import Conformance

@Suite struct HTMLReportTests {
  @Test func aPageTellsWhatPassedFailedAndWasSkippedAndWhy() throws {
    let worst = WorstError(tensor: "output.0", index: 3, got: 1, expected: 2, tolerance: 0.5)
    let report = ConformanceReport(
      device: "opencl:0.0", deviceName: "A <device> & co", variant: "gpu",
      facts: [.init(name: "driver", value: "1.2.3")],
      cases: [
        CaseReport(name: "add/n=1", operation: "add", status: .passed),
        CaseReport(name: "add/n=2", operation: "add", status: .failed, reason: "output.0[3] is 1, not 2", worst: worst),
        CaseReport(name: "x", operation: "x", status: .skipped, reason: "unknown operation `x`"),
      ])
    let absent = ConformanceReport(
      device: "opencl:1", deviceName: "Clover", unusable: "it has no devices", cases: [])
    let page = HTMLReport([report, absent], program: "softprompt 1", date: Date(timeIntervalSince1970: 0)).page
    for part in [
      "A &lt;device&gt; &amp; co", "(gpu)", "<dt>driver</dt><dd>1.2.3</dd>", "add/n=2", "output.0[3] is 1, not 2",
      "unknown operation `x`", "Not run: it has no devices", "1970-01-01T00:00:00Z", "2.000",
    ] {
      #expect(page.contains(part), "\(part) is missing")
    }
    // Nothing is fetched from elsewhere.
    for part in ["http", "src=", "<script", "<link", "@import", "url("] { #expect(!page.contains(part)) }
  }

  @Test func theFunctionsOfADeviceStandApart() {
    let report = ConformanceReport(
      device: "cpu", deviceName: "cpu",
      cases: [
        CaseReport(name: "builtin/exp,whole", operation: "builtin", status: .passed),
        CaseReport(name: "builtin/exp,special", operation: "builtin", status: .passed),
        CaseReport(name: "builtin/log,whole", operation: "builtin", status: .passed),
      ])
    #expect(report.operations.map(\.operation) == ["builtin/exp", "builtin/log"])
    #expect(report.operations.first?.passed == 2)
  }
}
