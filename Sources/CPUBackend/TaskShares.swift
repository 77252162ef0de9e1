import Synchronization

/// The numbered tasks of a job, a consecutive range of them for every worker.
///
/// A worker takes its own from the first one on, and then others' from the last one back, so that those keep what they
/// are about to take.
struct TaskShares: ~Copyable, Sendable {
  /// The tasks that are left of a share: the first in the low half, the one behind the last in the high half.
  private final class Share: Sendable {
    let left = Atomic<UInt64>(0)
    /// Keeps two shares out of one cache line.
    private let padding: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0)
  }

  private enum End { case first, last }

  private let shares: [Share]

  /// Empty shares of `count` workers.
  init(count: Int) { shares = (0..<count).map { _ in Share() } }

  /// Gives the tasks `0..<count` to the first `workers` of the workers, while nobody takes any.
  func divide(_ count: Int, among workers: Int) {
    precondition(count <= UInt32.max, "more tasks than a share can count")
    for (index, share) in shares.enumerated() {
      let (first, end) = (min(index, workers) * count / workers, min(index + 1, workers) * count / workers)
      share.left.store(UInt64(end) << 32 | UInt64(first), ordering: .relaxed)
    }
  }

  /// A task that nobody else takes; nil when none is left.
  func next(for worker: Int) -> Int? {
    if let task = Self.take(.first, of: shares[worker]) { return task }
    for step in 1..<max(1, shares.count) {
      if let task = Self.take(.last, of: shares[(worker + step) % shares.count]) { return task }
    }
    return nil
  }

  private static func take(_ end: End, of share: Share) -> Int? {
    var known = share.left.load(ordering: .relaxed)
    while true {
      let (first, last) = (known & 0xFFFF_FFFF, known >> 32)
      guard first < last else { return nil }
      let desired = end == .first ? known + 1 : known - 1 << 32
      let (exchanged, original) = share.left.compareExchange(
        expected: known, desired: desired, ordering: .relaxed)
      if exchanged { return Int(end == .first ? first : last - 1) }
      known = original
    }
  }
}
