import Compute

/// Times work on a device.
struct Stopwatch {
  let backend: any ComputeBackend
  let rounds: Int

  /// The median seconds of `body`, which is run once before to warm up.
  ///
  /// Waits for the device around each run.
  func median(_ body: () throws -> Void) throws -> Double {
    try body()
    try backend.synchronize()
    let clock = ContinuousClock()
    var seconds: [Double] = []
    for _ in 0..<rounds {
      let duration = try clock.measure {
        try body()
        try backend.synchronize()
      }
      seconds.append(Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18)
    }
    seconds.sort()
    return seconds[seconds.count / 2]
  }
}
