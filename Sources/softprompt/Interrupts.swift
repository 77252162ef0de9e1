import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

private let isRequested = Atomic<Bool>(false)

/// Ctrl-C and termination requests, turned into a flag that a run looks at between its steps.
enum Interrupts {
  /// Whether one has come since `catchSignals`.
  static var isPending: Bool { isRequested.load(ordering: .relaxed) }

  /// From now on the first SIGINT or SIGTERM sets the flag; the next one ends the process as usual.
  static func catchSignals() {
    isRequested.store(false, ordering: .relaxed)
    // A program that is started from a worker thread of another one inherits its mask, which may block these signals.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        isRequested.store(true, ordering: .relaxed)
        signal(number, SIG_DFL)
      }
    }
  }
}
