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

  @Test func namesAreUniqueAndNameOneCase() throws {
    let names = ConformanceSuite.cases.map(\.name)
    #expect(Set(names).count == names.count)
    for name in names {
      #expect(try ConformanceSuite.select(filter: name, quick: true).map(\.name) == [name])
      // As an expression a name finds itself, too: it has no character that means something else.
      let isPlain = name.allSatisfy { $0.isLetter || $0.isNumber || "/,=-_.".contains($0) }
      #expect(isPlain, "\(name)")
    }
  }

  @Test func filtersAreExpressions() throws {
    #expect(try ConformanceSuite.select(filter: "^softmax/", quick: false).allSatisfy { $0.operation == "softmax" })
    #expect(throws: ConformanceError.self) { try ConformanceSuite.select(filter: "(", quick: false) }
    #expect(throws: ConformanceError.self) { try ConformanceSuite.select(filter: "no such case", quick: false) }
  }

  @Test func everyOperationHasCasesAndIsListed() {
    let tested = Set(ConformanceSuite.cases.map(\.operation))
    #expect(tested == Set(ConformanceSuite.operations.map(\.name)))
  }
}
