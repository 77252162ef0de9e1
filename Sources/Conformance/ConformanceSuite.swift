import Compute

/// The cases of the table, run on a device.
public enum ConformanceSuite {
  /// What `--list` prints: the operations with their inputs and attributes.
  public static var operations: [OperationDocumentation] { OperationTable.all.map(\.documentation) }

  /// The cases in the order in which they run.
  public static var cases: [ConformanceCase] { CaseTable.all }

  /// Runs cases and reports each.
  ///
  /// - Parameters:
  ///   - filter: the name of a case, or a regular expression that is searched for in names.
  ///   - quick: only the cases marked as quick; a case named in full by the filter runs nevertheless.
  ///   - progress: told of every case when it is done.
  /// - Throws: `ConformanceError.badFilter`, `.nothingMatches`. What goes wrong inside a case is in the report.
  public static func run(
    _ backend: any ComputeBackend, filter: String? = nil, quick: Bool = false,
    progress: (CaseReport) -> Void = { _ in }
  ) throws -> ConformanceReport {
    let chosen = try select(filter: filter, quick: quick)
    let runner = CaseRunner(backend: backend)
    var reports: [CaseReport] = []
    for description in chosen {
      let report = report(description, runner)
      reports.append(report)
      progress(report)
    }
    return ConformanceReport(of: backend.device, cases: reports)
  }

  /// The cases that a filter names.
  ///
  /// - Throws: `ConformanceError.badFilter`, `.nothingMatches`.
  public static func select(filter: String?, quick: Bool) throws -> [ConformanceCase] {
    let wanted = cases.filter { $0.isQuick || !quick }
    guard let filter else { return wanted }
    let exact = cases.filter { $0.name == filter }
    guard exact.isEmpty else { return exact }
    let names = try matching(filter, in: wanted.map(\.name))
    return wanted.filter { names.contains($0.name) }
  }

  /// The names that a filter means: the one that it equals, else those in which the expression is found.
  ///
  /// - Throws: `ConformanceError.badFilter`, `.nothingMatches`.
  static func matching(_ filter: String, in names: [String]) throws -> Set<String> {
    if names.contains(filter) { return [filter] }
    let expression: Regex<AnyRegexOutput>
    do {
      expression = try Regex(filter)
    } catch {
      throw ConformanceError.badFilter(filter, detail: "not a regular expression: \(oneLine(error))")
    }
    let chosen = names.filter { $0.firstMatch(of: expression) != nil }
    guard !chosen.isEmpty else { throw ConformanceError.nothingMatches(filter) }
    return Set(chosen)
  }

  private static func report(_ description: ConformanceCase, _ runner: CaseRunner) -> CaseReport {
    let clock = ContinuousClock()
    let start = clock.now
    var report = CaseReport(name: description.name, operation: description.operation, status: .failed)
    do {
      let prepared = try PreparedCase(description)
      let outcome = runner.check(prepared)
      (report.status, report.reason, report.worst) = (outcome.status, outcome.reason, outcome.worst)
    } catch {
      report.reason = oneLine(error)
    }
    report.seconds = (clock.now - start) / .seconds(1)
    return report
  }
}
