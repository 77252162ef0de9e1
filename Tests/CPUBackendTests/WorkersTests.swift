import Foundation
import Synchronization
import Testing

@testable import CPUBackend

@Suite struct WorkersTests {
  /// How often each task ran, and whether two threads ever had the same number at once.
  private final class Record: @unchecked Sendable {
    // Unchecked: a task writes only its own count.
    let counts: UnsafeMutablePointer<Int32>
    let size: Int
    let collisions = Atomic<Int>(0)
    let strangers = Atomic<Int>(0)
    private let busy = Mutex<Set<Int>>([])

    init(_ size: Int) {
      self.size = size
      counts = .allocate(capacity: size)
      counts.initialize(repeating: 0, count: size)
    }

    deinit { counts.deallocate() }

    func note(_ task: Int, _ worker: Int, below threads: Int) {
      if !busy.withLock({ $0.insert(worker).inserted }) { collisions.wrappingAdd(1, ordering: .relaxed) }
      if worker >= threads { strangers.wrappingAdd(1, ordering: .relaxed) }
      counts[task] += 1
      _ = busy.withLock { $0.remove(worker) }
    }

    func check(_ times: Int32, _ label: String) {
      let wrong = (0..<size).first { counts[$0] != times }
      #expect(wrong == nil, "\(label): task \(wrong ?? -1) ran \(wrong.map { counts[$0] } ?? 0) times, not \(times)")
      #expect(collisions.load(ordering: .relaxed) == 0 && strangers.load(ordering: .relaxed) == 0, "\(label)")
    }
  }

  @Test(arguments: [1, 2, 3, 7]) func everyTaskRunsOnce(_ threads: Int) {
    let workers = Workers(count: threads)
    for tasks in [0, 1, 2, 5, 64] {
      let record = Record(tasks)
      let rounds: Int32 = 400
      for _ in 0..<rounds { workers.run(tasks) { record.note($0, $1, below: threads) } }
      record.check(rounds, "\(threads) threads, \(tasks) tasks")
    }
  }

  /// Pauses about as long as helpers stay awake, so that jobs come while they fall asleep.
  @Test func helpersWakeUp() {
    let workers = Workers(count: 3)
    let record = Record(16)
    let rounds: Int32 = 300
    for round in 0..<rounds {
      workers.run(16) { record.note($0, $1, below: 3) }
      usleep(UInt32(80 + round % 50))
    }
    record.check(rounds, "with pauses")
  }

  /// What tasks wrote is there when `run` returns.
  @Test func resultsAreComplete() {
    let workers = Workers(count: 4)
    var values = [Int](repeating: 0, count: 1000)
    for round in 1...200 {
      values.withUnsafeMutableBufferPointer { buffer in
        let base = buffer.baseAddress
        workers.runRanges(1000, grain: 37) { range, _ in
          for index in range { base?[index] += index * round }
        }
      }
    }
    #expect(values == (0..<1000).map { $0 * 200 * 201 / 2 })
  }

  /// Backends come and go; their threads end with them.
  @Test func threadsEnd() {
    weak var crew: Crew?
    for _ in 0..<50 {
      let made = Crew(helpers: 8)
      crew = made
      made.run(Crew.Job { _, _ in }, count: 9, width: 9)
      made.dismiss()
    }
    // Every thread holds the crew while it runs.
    for _ in 0..<500 where crew != nil { usleep(10_000) }
    #expect(crew == nil)
  }
}
