import Foundation

/// A page about one or several runs that needs nothing but a browser.
public struct HTMLReport {
  private let reports: [ConformanceReport]
  private let program: String
  private let date: Date

  /// - Parameters:
  ///   - program: name and version of who made the runs.
  ///   - date: when.
  public init(_ reports: [ConformanceReport], program: String, date: Date = Date()) {
    self.reports = reports
    self.program = program
    self.date = date
  }

  /// The whole page, in UTF-8.
  public var page: String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Conformance of \(reports.count == 1 ? escaped(reports[0].deviceName) : "\(reports.count) devices")</title>
    <style>\(Self.style)</style>
    </head>
    <body>
    <h1>Does it compute what it should?</h1>
    <p>\(escaped(program)), \(escaped(date.ISO8601Format())). Every case compares a result with a reference in double
    precision under a tolerance that follows from the arithmetic. "Share of tolerance" is the largest error in units of
    what rounding explains; a case fails above 1. "ulp" counts units in the last place of the expected 32-bit value.</p>
    \(overview)
    \(reports.map(section).joined(separator: "\n"))
    </body>
    </html>

    """
  }

  private var overview: String {
    table(
      ["device", "name", "kernels", "passed", "failed", "skipped", "seconds"],
      reports.map { report in
        [
          escaped(report.device), escaped(report.deviceName), escaped(report.variant ?? ""),
          report.unusable.map { "not run: \(escaped($0))" } ?? "\(report.count(.passed))",
          report.unusable == nil ? failures(report.count(.failed)) : "",
          report.unusable == nil ? "\(report.count(.skipped))" : "",
          report.unusable == nil ? number(report.seconds, "%.1f") : "",
        ]
      })
  }

  private func section(_ report: ConformanceReport) -> String {
    let title = [report.device, report.deviceName].joined(separator: ": ") + (report.variant.map { " (\($0))" } ?? "")
    var parts = ["<h2>\(escaped(title))</h2>"]
    if let reason = report.unusable { return parts[0] + "<p>Not run: \(escaped(reason))</p>" }
    parts.append(
      "<dl>"
        + report.facts.map { "<dt>\(escaped($0.name))</dt><dd>\(escaped($0.value))</dd>" }.joined()
        + "</dl>")
    let failed = report.cases.filter { $0.status == .failed }
    if !failed.isEmpty {
      parts.append("<h3>Failed</h3>")
      parts.append(
        table(["case", "what happened"], failed.map { ["<code>\(escaped($0.name))</code>", escaped($0.reason)] }))
    }
    if !report.skipReasons.isEmpty {
      parts.append("<h3>Skipped</h3>")
      parts.append(table(["cases", "reason"], report.skipReasons.map { ["\($0.count)", escaped($0.reason)] }))
    }
    parts.append("<h3>Operations</h3>")
    parts.append(
      table(
        ["operation", "passed", "failed", "skipped", "worst error (ulp)", "share of tolerance", "in"],
        report.operations.map { summary in
          [
            escaped(summary.operation), "\(summary.passed)", failures(summary.failed), "\(summary.skipped)",
            summary.worst.map { number($0.ulps, "%.2f") } ?? "", summary.worst.map { number($0.ratio, "%.3f") } ?? "",
            summary.worstCase.map { "<code>\(escaped($0))</code>" } ?? "",
          ]
        }))
    parts.append("<details><summary>All \(report.cases.count) cases</summary>")
    parts.append(
      table(
        ["case", "status", "worst error (ulp)", "share of tolerance", "seconds"],
        report.cases.map { report in
          [
            "<code>\(escaped(report.name))</code>",
            report.status == .failed ? "<b>failed</b>" : report.status.rawValue,
            report.worst.map { number($0.ulps, "%.2f") } ?? "", report.worst.map { number($0.ratio, "%.3f") } ?? "",
            number(report.seconds, "%.4f"),
          ]
        }))
    parts.append("</details>")
    return parts.joined(separator: "\n")
  }

  private func failures(_ count: Int) -> String { count == 0 ? "0" : "<b>\(count)</b>" }

  private func number(_ value: Double, _ format: String) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : "infinite" }
    return value < 1e7 ? String(format: format, value) : String(format: "%.2g", value)
  }

  private func table(_ header: [String], _ rows: [[String]]) -> String {
    let head = header.map { "<th>\($0)</th>" }.joined()
    let body = rows.map { "<tr>" + $0.map { "<td>\($0)</td>" }.joined() + "</tr>" }.joined(separator: "\n")
    return "<table><thead><tr>\(head)</tr></thead><tbody>\n\(body)\n</tbody></table>"
  }

  private func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }

  private static let style = """
    body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
    table { border-collapse: collapse; margin: 1rem 0; }
    th, td { border-bottom: 1px solid #ccc; padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
    dl { display: grid; grid-template-columns: max-content auto; gap: 0 1rem; } dd { margin: 0; }
    dt { color: #666; } b { color: #b00020; } code { font-size: 13px; }
    @media (prefers-color-scheme: dark) {
      body { background: #161616; color: #ddd; } th, td { border-color: #444; } b { color: #ff6f7d; } dt { color: #999; }
    }
    """
}
