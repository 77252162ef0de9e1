import ArgumentParser
import Conformance
import Foundation
import LanguageModels

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
      "auto, cpu, opencl, opencl:P.D, part of a device's name, or all.",
      discussion: "No device makes a self-test first: one that fails it is the very thing to look at.",
      valueName: "device"))
  var device = "auto"

  @Option(help: ArgumentHelp("Only cases whose name matches.", valueName: "regex"))
  var filter: String?

  @Option(help: ArgumentHelp("Run the test vectors (safetensors files) of a folder instead.", valueName: "directory"))
  var vectors: String?

  @Flag(help: "A smaller set of cases.")
  var quick = false

  @Flag(help: "Print the operations with their inputs and attributes, and the names of the cases.")
  var list = false

  @Option(
    help: ArgumentHelp(
      "Check other kernels than those in use: cpu, gpu, plain, or an instruction set of the CPU; or all.",
      discussion: "gpu-large uses large tiles for every product, gpu-tensor and gpu-tensor-large the kernel for tensor "
        + "cores, their instructions computed step by step; of these, products alone are checked.",
      valueName: "variant"))
  var variant: String?

  @Option(help: ArgumentHelp("Also write a page for a browser.", valueName: "file"))
  var html: String?

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    if list { return try printList() }
    _ = try ConformanceSuite.select(filter: vectors == nil ? filter : nil, quick: quick)
    let page = try html.map { try AtomicFile(URL(fileURLWithPath: $0)) }
    let subjects = try ConformanceSubject.all(device: device, variant: variant)
    if !json, device == "all", !subjects.contains(where: { $0.id != "cpu" }) {
      print("no OpenCL device found: the CPU alone is checked\n")
    }
    var reports: [ConformanceReport] = []
    for subject in subjects { reports.append(try report(subject)) }
    if let page {
      let program = "softprompt \(SoftPrompt.configuration.version)"
      try page.write(Data(HTMLReport(reports, program: program).page.utf8))
      try page.commit()
    }
    if json {
      if reports.count == 1 { try Output.json(reports[0]) } else { try Output.json(["devices": reports]) }
    }
    guard reports.allSatisfy(\.passes) else { throw Exit.CheckFailed() }
  }

  private func report(_ subject: ConformanceSubject) throws -> ConformanceReport {
    let selection = vectors == nil ? try subject.selection(filter, quick: quick) : .cases(filter: filter)
    var reasonToSkip = subject.reasonToSkip
    var cases = filter
    switch selection {
    case .none: reasonToSkip = reasonToSkip ?? "none of these cases concerns them"
    case .cases(let own): cases = own
    }
    if let reason = reasonToSkip {
      if !json { print("\(subject.title)\n  not run: \(reason)\n") }
      return ConformanceReport(
        device: subject.id, deviceName: subject.name, variant: subject.variant, unusable: reason, cases: [])
    }
    let backend = try subject.open()
    if !json { print(subject.title) }
    let show: (CaseReport) -> Void = { report in
      guard !json, report.status == .failed else { return }
      print("  failed: \(report.name): \(report.reason)")
    }
    var report: ConformanceReport
    if let vectors {
      let directory = URL(fileURLWithPath: vectors, isDirectory: true)
      report = try ConformanceSuite.run(backend, vectors: directory, filter: cases, progress: show)
    } else {
      report = try ConformanceSuite.run(backend, filter: cases, quick: quick, progress: show)
      if filter == nil, !quick { report.cases += subject.builds(on: backend, progress: show) }
    }
    report.variant = subject.variant
    if !json { summarise(report) }
    return report
  }

  private func summarise(_ report: ConformanceReport) {
    Output.table(
      ["operation", "passed", "failed", "skipped", "worst error (ulp)", "share of tolerance"],
      report.operations.map { summary in
        [
          summary.operation, String(summary.passed), String(summary.failed), String(summary.skipped),
          summary.worst.map { String(format: "%.2f", $0.ulps) } ?? "",
          summary.worst.map { String(format: "%.3f", $0.ratio) } ?? "",
        ]
      })
    print(
      "\(report.count(.passed)) passed, \(report.count(.failed)) failed, \(report.count(.skipped)) skipped, "
        + String(format: "%.1f s", report.seconds))
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
