/// What ran when, on the host and on a device, and what it came to by operation.
///
/// Phases are stretches of the host's time that a caller names. Commands are what the device ran: kernels and transfers,
/// each on behalf of an operation, which is a requirement of `ComputeBackend` by its name. `ProfiledBackend` fills in
/// both names; without one nothing here costs anything.
public final class Profile {
  /// Nanoseconds since the profile was made.
  public typealias Time = Int64

  /// A stretch of the host's time.
  public struct Phase: Sendable {
    public var name: String
    public var start: Time
    public var end: Time
  }

  /// A command on the device.
  public struct Command: Sendable {
    /// The kernel or transfer, as the backend calls it.
    public var name: String
    public var operation: String
    public var start: Time
    public var end: Time

    public init(name: String, operation: String, start: Time, end: Time) {
      self.name = name
      self.operation = operation
      self.start = start
      self.end = end
    }
  }

  /// What all calls of an operation came to.
  public struct Total: Sendable {
    public var calls = 0
    public var commands = 0
    /// Of the device.
    public var nanoseconds: Time = 0
    public var work = Work()
  }

  /// How many commands and phases are kept one by one.
  public let limit: Int
  public private(set) var phases: [Phase] = []
  public private(set) var commands: [Command] = []
  /// Phases and commands beyond the limit: they count in the totals alone.
  public private(set) var leftOut = 0
  /// By operation.
  public private(set) var totals: [String: Total] = [:]
  /// Whether calls and commands are noted.
  public var isOn = true
  /// The operation on whose behalf commands are given to the device at the moment.
  public internal(set) var operation = Profile.outside

  /// The operation of commands that none was named for.
  public static let outside = "other"

  private let clock = ContinuousClock()
  private let origin: ContinuousClock.Instant

  public init(limit: Int = 400_000) {
    self.limit = limit
    origin = clock.now
  }

  /// The host's clock.
  public var now: Time {
    let (seconds, attoseconds) = (clock.now - origin).components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  /// Notes how long `body` takes; phases may lie inside one another.
  public func phase<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
    let start = now
    defer { if hasRoom() { phases.append(Phase(name: name, start: start, end: now)) } }
    return try body()
  }

  /// Notes a call of an operation.
  func count(_ operation: String, _ work: Work) {
    totals[operation, default: Total()].calls += 1
    totals[operation, default: Total()].work += work
  }

  /// Notes a command that has run.
  public func add(_ command: Command) {
    totals[command.operation, default: Total()].commands += 1
    totals[command.operation, default: Total()].nanoseconds += command.end - command.start
    if hasRoom() { commands.append(command) }
  }

  /// The work of all calls.
  public var work: Work { totals.values.reduce(into: Work()) { $0 += $1.work } }

  /// Nanoseconds that the device was busy.
  public var deviceTime: Time { totals.values.reduce(0) { $0 + $1.nanoseconds } }

  private func hasRoom() -> Bool {
    if commands.count + phases.count < limit { return true }
    leftOut += 1
    return false
  }
}
