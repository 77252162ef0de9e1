import Dispatch
import Foundation
import Synchronization

/// Threads and their scratch memory.
///
/// Work is cut into numbered tasks whose results do not depend on who runs them; threads take the next number until
/// none is left, so a slow or busy core holds nobody up.
final class Workers {
  let count: Int
  private let scratch: UnsafeMutablePointer<UnsafeMutableRawBufferPointer>

  init(count: Int) {
    self.count = count
    scratch = .allocate(capacity: count)
    scratch.initialize(repeating: UnsafeMutableRawBufferPointer(start: nil, count: 0), count: count)
  }

  deinit {
    for worker in 0..<count { free(scratch[worker].baseAddress) }
    scratch.deallocate()
  }

  /// Runs `body(task, worker)` for every task, on at most `count` threads; `worker` numbers the thread.
  func run(_ tasks: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    let width = min(count, tasks)
    guard width > 1 else {
      for task in 0..<tasks { body(task, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      let job = Job(body: body)
      let next = Atomic<Int>(0)
      DispatchQueue.concurrentPerform(iterations: width) { worker in
        while true {
          let task = next.wrappingAdd(1, ordering: .relaxed).oldValue
          guard task < tasks else { return }
          job.body(task, worker)
        }
      }
    }
  }

  /// Carries a task's closure to the threads.
  ///
  /// Unchecked: tasks write to separate memory and only read what they share,
  /// and `run` returns when the last has finished, so nothing they refer to is used from two places or dies early.
  private struct Job: @unchecked Sendable {
    let body: (Int, Int) -> Void
  }

  /// Cuts `0..<total` into ranges of `grain` and runs `body` on each; a single range stays on the calling thread.
  func runRanges(_ total: Int, grain: Int, _ body: (_ range: Range<Int>, _ worker: Int) -> Void) {
    run((total + grain - 1) / grain) { task, worker in
      body(task * grain..<min(total, (task + 1) * grain), worker)
    }
  }

  /// Memory of this thread's own for `floats` values, aligned to 64 bytes, until its next call.
  func floats(_ floats: Int, worker: Int) -> UnsafeMutablePointer<Float> {
    let bytes = max(floats, 1) * MemoryLayout<Float>.stride
    if scratch[worker].count < bytes {
      free(scratch[worker].baseAddress)
      var pointer: UnsafeMutableRawPointer?
      let size = max(bytes, 1 << 18)
      guard posix_memalign(&pointer, 64, size) == 0, let pointer else {
        preconditionFailure("no memory for \(size) bytes of scratch")
      }
      scratch[worker] = UnsafeMutableRawBufferPointer(start: pointer, count: size)
    }
    guard let base = scratch[worker].baseAddress else { preconditionFailure("scratch without memory") }
    return base.assumingMemoryBound(to: Float.self)
  }
}
