import Compute

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
  /// A fact about the device: driver, version, instruction set.
  public struct Fact: Sendable, Hashable, Codable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// What `--device` takes.
  public var device: String
  /// The device's own name.
  public var deviceName: String
  /// The kernels that were in use, where the device has several kinds.
  public var variant: String?
  public var facts: [Fact]
  /// Why nothing was run on the device at all.
  public var unusable: String?
  public var cases: [CaseReport]

  public init(
    device: String, deviceName: String, variant: String? = nil, facts: [Fact] = [], unusable: String? = nil,
    cases: [CaseReport]
  ) {
    self.device = device
    self.deviceName = deviceName
    self.variant = variant
    self.facts = facts
    self.unusable = unusable
    self.cases = cases
  }

  /// The outcome of a run on the device of a backend.
  public init(of device: DeviceDescription, cases: [CaseReport]) {
    self.init(
      device: device.id, deviceName: device.name,
      facts: device.details.map { Fact(name: $0.name, value: $0.value) }, cases: cases)
  }

  private enum CodingKeys: String, CodingKey {
    case device
    case deviceName = "device_name"
    case variant, facts, unusable, cases
  }

  public func count(_ status: CaseReport.Status) -> Int { cases.count { $0.status == status } }

  /// Whether no case failed; decides between exit codes 0 and 1.
  public var passes: Bool { count(.failed) == 0 }

  /// Wall-clock time of all cases.
  public var seconds: Double { cases.reduce(0) { $0 + $1.seconds } }

  /// Skipped cases by reason, the most frequent first.
  public var skipReasons: [(reason: String, count: Int)] {
    Dictionary(grouping: cases.filter { $0.status == .skipped }, by: \.reason)
      .map { ($0.key, $0.value.count) }
      .sorted { ($1.1, $0.0) < ($0.1, $1.0) }
  }
}

/// The cases of one operation, summed up.
public struct OperationSummary: Sendable {
  public let operation: String
  public let passed: Int
  public let failed: Int
  public let skipped: Int
  /// The case whose worst element is closest to its tolerance, or furthest beyond it.
  public let worstCase: String?
  public let worst: WorstError?

  init(_ operation: String, _ cases: [CaseReport]) {
    self.operation = operation
    passed = cases.count { $0.status == .passed }
    failed = cases.count { $0.status == .failed }
    skipped = cases.count { $0.status == .skipped }
    let closest = cases.max { ($0.worst?.ratio ?? -1) < ($1.worst?.ratio ?? -1) }
    worst = closest?.worst
    worstCase = closest?.worst == nil ? nil : closest?.name
  }
}

extension ConformanceReport {
  /// Every operation with cases, by name.
  ///
  /// The device's own functions stand apart, each by itself.
  public var operations: [OperationSummary] {
    let groups = Dictionary(grouping: cases) { report in
      report.operation == "builtin" ? Self.builtinName(report.name) : report.operation
    }
    return groups.keys.sorted().map { OperationSummary($0, groups[$0] ?? []) }
  }

  /// `builtin/exp` for the cases of one function.
  private static func builtinName(_ name: String) -> String {
    String(name.prefix { $0 != "," })
  }
}
