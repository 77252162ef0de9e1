import Synchronization
import Testing

@testable import CPUBackend

@Suite struct TaskSharesTests {
  @Test func ownTasksComeFirstAndInOrder() {
    let shares = TaskShares(count: 3)
    shares.divide(8, among: 3)
    // 0-1, 2-4 and 5-7; then the next worker's, from the last one back.
    #expect((0..<5).map { _ in shares.next(for: 1) } == [2, 3, 4, 7, 6])
    #expect(shares.next(for: 2) == 5)
    #expect(shares.next(for: 2) == 1)
    #expect(shares.next(for: 0) == 0)
    #expect((0..<3).allSatisfy { shares.next(for: $0) == nil })
  }

  @Test func fewerTasksThanWorkers() {
    let shares = TaskShares(count: 4)
    shares.divide(2, among: 2)
    #expect(shares.next(for: 1) == 1)
    #expect(shares.next(for: 3) == 0)
    #expect(shares.next(for: 0) == nil)
    shares.divide(0, among: 1)
    #expect(shares.next(for: 0) == nil)
  }

  @Test func theLastWorkerStartsInTheMiddle() {
    let shares = TaskShares(count: 2)
    for count in [1, 7, 64, 1001] {
      shares.divide(count, among: 2)
      let first = shares.next(for: 1)
      #expect(first == count / 2)
    }
  }

  /// Threads that take from each other's shares get every task once.
  @Test func everyTaskOnce() async {
    let (workers, count) = (4, 20_000)
    for round in 0..<20 {
      let shares = SharedShares(count: workers)
      shares.value.divide(count, among: 1 + round % workers)
      let taken = await withTaskGroup(of: [Int].self) { group in
        for worker in 0..<workers {
          group.addTask {
            var own: [Int] = []
            while let task = shares.value.next(for: worker) { own.append(task) }
            return own
          }
        }
        return await group.reduce(into: [Int]()) { $0 += $1 }
      }
      #expect(taken.sorted() == Array(0..<count))
    }
  }
}

/// Shares that closures can hold on to.
private final class SharedShares: Sendable {
  let value: TaskShares

  init(count: Int) { value = TaskShares(count: count) }
}
