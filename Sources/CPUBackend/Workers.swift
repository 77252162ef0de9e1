import Foundation

/// Threads and their scratch memory.
///
/// Work is cut into numbered tasks whose results do not depend on who runs them. Every thread has consecutive ones of its
/// own and then takes others', so a slow or busy core holds nobody up (`Crew`).
final class Workers {
  let count: Int
  /// The other threads, from the first work for more than one on.
  private var crew: Crew?
  private let scratch: UnsafeMutablePointer<UnsafeMutableRawBufferPointer>

  init(count: Int) {
    self.count = count
    scratch = .allocate(capacity: count)
    scratch.initialize(repeating: UnsafeMutableRawBufferPointer(start: nil, count: 0), count: count)
  }

  deinit {
    crew?.dismiss()
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
    let crew = self.crew ?? Crew(helpers: count - 1)
    self.crew = crew
    withoutActuallyEscaping(body) { body in crew.run(Crew.Job(body: body), count: tasks, width: width) }
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
