import CPUTiles
import Dispatch
import Foundation
import Synchronization

/// Threads that help the calling one with numbered tasks, and wait for the next without sleeping at once.
///
/// Operations follow each other within microseconds, and waking a thread takes tens of them. A helper that comes too
/// late finds the job closed: nobody waits for it.
///
/// Every thread has a share of the tasks, consecutive ones, and takes from the others' when its own is done. Operations on
/// the same rows thus find them in the caches of the core that they ran on before. That matters more than it seems to: to
/// write memory that another core has read can take tens of times as long as to write what none has seen
/// (tools/core-sharing.c).
///
/// Unchecked: `job` changes only while no job is open and nobody is inside one, and a helper reads it only while it is
/// inside; `state` orders the accesses.
final class Crew: @unchecked Sendable {
  /// A thread besides the calling one.
  private final class Helper: Sendable {
    let isAsleep = Atomic<Bool>(false)
    let bell = DispatchSemaphore(value: 0)
  }

  /// Carries a task's closure to the threads.
  ///
  /// Unchecked: tasks write to separate memory and only read what they share,
  /// and `run` returns when the last has finished, so nothing they refer to is used from two places or dies early.
  struct Job: @unchecked Sendable {
    let body: (_ task: Int, _ worker: Int) -> Void
  }

  /// From the lowest bit: whether a job is open, how many helpers are inside it (15 bits), the number of the job.
  private let state = Atomic<UInt64>(0)
  private let isDismissed = Atomic<Bool>(false)
  private var job: Job?
  private let helpers: [Helper]
  private let shares: TaskShares

  private static let open: UInt64 = 1
  private static let oneInside: UInt64 = 2
  private static let jobShift: UInt64 = 16
  /// How long a helper without work stays awake.
  private static let patience = Duration.microseconds(100)
  /// Looks at the state between two looks at the clock.
  private static let looks = 32

  /// - Parameter helpers: the number of threads besides the calling one.
  init(helpers count: Int) {
    helpers = (0..<count).map { _ in Helper() }
    shares = TaskShares(count: count + 1)
    for (index, helper) in helpers.enumerated() {
      let thread = Thread { [self] in serve(helper, worker: index + 1) }
      thread.name = "softprompt-\(index + 1)"
      thread.start()
    }
  }

  /// Ends the threads; the crew cannot be used after it.
  func dismiss() {
    isDismissed.store(true, ordering: .sequentiallyConsistent)
    publish(isOpen: false, waking: helpers.count)
  }

  /// Runs the tasks `0..<count` of a job, on at most `width` threads, and returns when all have finished.
  func run(_ job: Job, count: Int, width: Int) {
    precondition(state.load(ordering: .relaxed) & Self.open == 0, "a task of the CPU backend may not run tasks")
    self.job = job
    shares.divide(count, among: width)
    publish(isOpen: true, waking: width - 1)
    work(job, worker: 0)
    state.bitwiseAnd(~Self.open, ordering: .acquiringAndReleasing)
    var looks = 0
    while state.load(ordering: .acquiring) & (1 << Self.jobShift - 1) != 0 {
      cpu_pause()
      looks += 1
      // A helper that the system has set aside may need this core.
      if looks > 1 << 12 { sched_yield() }
    }
    self.job = nil
  }

  private func publish(isOpen: Bool, waking count: Int) {
    let number = state.load(ordering: .relaxed) >> Self.jobShift + 1
    state.store(number << Self.jobShift | (isOpen ? Self.open : 0), ordering: .sequentiallyConsistent)
    for helper in helpers.prefix(count) where helper.isAsleep.load(ordering: .sequentiallyConsistent) {
      if helper.isAsleep.exchange(false, ordering: .sequentiallyConsistent) { helper.bell.signal() }
    }
  }

  private func work(_ job: Job, worker: Int) {
    while let task = shares.next(for: worker) { job.body(task, worker) }
  }

  /// Not inlined: the closure, which the caller lends, must be let go before this thread says that it has left.
  @inline(never)
  private func help(worker: Int) {
    if let job { work(job, worker: worker) }
  }

  private func serve(_ helper: Helper, worker: Int) {
    var last: UInt64 = 0
    while true {
      last = nextNumber(after: last, helper)
      if isDismissed.load(ordering: .sequentiallyConsistent) { return }
      guard enter(last) else { continue }
      help(worker: worker)
      state.wrappingSubtract(Self.oneInside, ordering: .releasing)
    }
  }

  /// The number of the next job: waits awake for a while, then asleep.
  private func nextNumber(after last: UInt64, _ helper: Helper) -> UInt64 {
    let clock = ContinuousClock()
    while true {
      let end = clock.now + Self.patience
      repeat {
        for _ in 0..<Self.looks {
          let number = state.load(ordering: .acquiring) >> Self.jobShift
          if number != last { return number }
          cpu_pause()
        }
      } while clock.now < end
      // Whoever publishes looks at the flag after the state has changed, and here it is the other way round: one of the
      // two sees the other's change.
      helper.isAsleep.store(true, ordering: .sequentiallyConsistent)
      let isUnchanged = state.load(ordering: .sequentiallyConsistent) >> Self.jobShift == last
      if isUnchanged || !helper.isAsleep.exchange(false, ordering: .sequentiallyConsistent) { helper.bell.wait() }
    }
  }

  /// Joins a job if it is still open.
  private func enter(_ number: UInt64) -> Bool {
    var known = state.load(ordering: .acquiring)
    while known & Self.open != 0, known >> Self.jobShift == number {
      let (exchanged, original) = state.compareExchange(
        expected: known, desired: known + Self.oneInside, ordering: .acquiringAndReleasing)
      if exchanged { return true }
      known = original
    }
    return false
  }
}
