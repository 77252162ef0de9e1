import Compute

/// Times work on a device.
struct Stopwatch {
  /// Short work is repeated for this long before it is timed, and for this long while it is.
  ///
  /// The system leaves threads that have just been woken on one core for a while, which makes a pair of them half as fast.
  private static let shortest = Duration.milliseconds(100)

  let backend: any ComputeBackend
  /// The fewest runs that are timed.
  let rounds: Int

  /// The median seconds of `body`.
  ///
  /// Waits for the device around each run.
  func median(_ body: () throws -> Void) throws -> Double {
    let clock = ContinuousClock()
    func run() throws -> Duration {
      try clock.measure {
        try body()
        try backend.synchronize()
      }
    }
    var warming = try run()
    while warming < Self.shortest { warming += try run() }
    var durations: [Duration] = []
    var sum = Duration.zero
    while durations.count < rounds || sum < Self.shortest {
      durations.append(try run())
      sum += durations[durations.count - 1]
    }
    durations.sort()
    return durations[durations.count / 2] / .seconds(1)
  }
}
