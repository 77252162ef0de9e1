import ArgumentParser
import Compute
import Conformance
import Foundation

/// `softprompt conformance`.
struct ConformanceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conformance",
    abstract: "Check that a device computes what it should, operation by operation, forward and backward.",
    discussion: """
      Every case is compared with a reference in double precision, under a tolerance that follows from the arithmetic. A
      case's name, given to --filter, runs that case alone. Exit code 1 if a case fails.
      """)

  @Option(
    help: ArgumentHelp(
      "auto, cpu, opencl, opencl:P.D, part of a device's name, or all.", valueName: "device"))
  var device = "auto"

  @Option(help: ArgumentHelp("Only cases whose name matches.", valueName: "regex"))
  var filter: String?

  @Option(help: ArgumentHelp("Run the test vectors (safetensors files) of a folder instead.", valueName: "directory"))
  var vectors: String?

  @Flag(help: "A smaller set of cases.")
  var quick = false

  @Flag(help: "Print the operations with their inputs and attributes, and the names of the cases.")
  var list = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    if list { return try printList() }
    var reports: [ConformanceReport] = []
    for backend in try backends() {
      reports.append(try report(backend))
    }
    if json {
      if reports.count == 1 { try Output.json(reports[0]) } else { try Output.json(["devices": reports]) }
    }
    guard reports.allSatisfy(\.passes) else { throw Exit.CheckFailed() }
  }

  private func backends() throws -> [any ComputeBackend] {
    guard device == "all" else {
      return [try DeviceSelection.open(device, strict: false, notice: DeviceSelection.standardErrorNotice)]
    }
    return try DeviceSelection.all().map {
      // A device that fails its self-test is the very thing to look at, so none is made here.
      try DeviceSelection.openUnchecked($0.id)
    }
  }

  private func report(_ backend: any ComputeBackend) throws -> ConformanceReport {
    if !json { print("\(backend.device.id): \(backend.device.name)") }
    let show: (CaseReport) -> Void = { report in
      guard !json, report.status == .failed else { return }
      print("  failed: \(report.name): \(report.reason)")
    }
    let report: ConformanceReport
    if let vectors {
      let directory = URL(fileURLWithPath: vectors, isDirectory: true)
      report = try ConformanceSuite.run(backend, vectors: directory, filter: filter, progress: show)
    } else {
      report = try ConformanceSuite.run(backend, filter: filter, quick: quick, progress: show)
    }
    if !json { summarise(report) }
    return report
  }

  private func summarise(_ report: ConformanceReport) {
    let operations = Dictionary(grouping: report.cases, by: \.operation)
    Output.table(
      ["operation", "passed", "failed", "skipped", "worst error (ulp)", "share of tolerance"],
      operations.keys.sorted().map { name in
        let cases = operations[name] ?? []
        func count(_ status: CaseReport.Status) -> String { String(cases.count { $0.status == status }) }
        let worst = cases.compactMap(\.worst).max { $0.ratio < $1.ratio }
        return [
          name, count(.passed), count(.failed), count(.skipped),
          worst.map { String(format: "%.1f", $0.ulps) } ?? "", worst.map { String(format: "%.2f", $0.ratio) } ?? "",
        ]
      })
    print(
      "\(report.count(.passed)) passed, \(report.count(.failed)) failed, \(report.count(.skipped)) skipped")
    for (reason, count) in report.skipReasons { print("  skipped \(count): \(reason)") }
    print("")
  }

  private static func describe(_ attribute: AttributeDocumentation) -> String {
    switch attribute.defaultValue {
    case .none: "\(attribute.text) (required)"
    case .some(.null): attribute.text
    case .some(let value): "\(attribute.text) (default \(Output.text(value)))"
    }
  }

  private struct Listing: Encodable {
    struct Operation: Encodable {
      var name: String
      var inputs: [String]
      var attributes: [String: String]
      var output: String
    }

    var operations: [Operation]
    var cases: [String]
  }

  private func printList() throws {
    let names = try ConformanceSuite.select(filter: filter, quick: quick).map(\.name)
    if json {
      return try Output.json(
        Listing(
          operations: ConformanceSuite.operations.map { operation in
            Listing.Operation(
              name: operation.name, inputs: operation.inputs.map { "\($0.index): \($0.text)" },
              attributes: Dictionary(
                uniqueKeysWithValues: operation.attributes.filter { !$0.isInternal }.map {
                  ($0.name, Self.describe($0))
                }),
              output: operation.output)
          }, cases: names))
    }
    for operation in ConformanceSuite.operations {
      print(operation.name)
      for input in operation.inputs {
        print("  input \(input.index): \(input.text)\(input.isOptional ? " (optional)" : "")")
      }
      for attribute in operation.attributes where !attribute.isInternal {
        print("  \(attribute.name): \(Self.describe(attribute))")
      }
      print("  output: \(operation.output)\n")
    }
    print("cases:")
    for name in names { print("  \(name)") }
  }
}
