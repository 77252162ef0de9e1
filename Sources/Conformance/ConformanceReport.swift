import Foundation

/// What became of one case.
public struct CaseReport: Sendable, Codable {
  public enum Status: String, Sendable, Codable {
    case passed
    case failed
    case skipped
  }

  /// As `--filter` takes it.
  public var name: String
  public var operation: String
  public var status: Status
  /// Why it failed or was skipped, in one line; empty if it passed.
  public var reason: String
  /// The element closest to its tolerance, or furthest beyond it.
  public var worst: WorstError?
  /// Wall-clock time of the case, reference included.
  public var seconds: Double

  public init(
    name: String, operation: String, status: Status, reason: String = "", worst: WorstError? = nil, seconds: Double = 0
  ) {
    self.name = name
    self.operation = operation
    self.status = status
    self.reason = reason
    self.worst = worst
    self.seconds = seconds
  }
}

/// The outcome of a run on one device, in the form that `conformance --json` prints.
public struct ConformanceReport: Sendable, Codable {
  /// What `--device` takes.
  public var device: String
  /// The device's own name.
  public var deviceName: String
  public var cases: [CaseReport]

  public init(device: String, deviceName: String, cases: [CaseReport]) {
    self.device = device
    self.deviceName = deviceName
    self.cases = cases
  }

  private enum CodingKeys: String, CodingKey {
    case device
    case deviceName = "device_name"
    case cases
  }

  public func count(_ status: CaseReport.Status) -> Int { cases.count { $0.status == status } }

  /// Whether no case failed; decides between exit codes 0 and 1.
  public var passes: Bool { count(.failed) == 0 }

  /// Skipped cases by reason, the most frequent first.
  public var skipReasons: [(reason: String, count: Int)] {
    Dictionary(grouping: cases.filter { $0.status == .skipped }, by: \.reason)
      .map { ($0.key, $0.value.count) }
      .sorted { ($1.1, $0.0) < ($0.1, $1.0) }
  }
}
