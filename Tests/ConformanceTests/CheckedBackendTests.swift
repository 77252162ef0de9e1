import Compute
import TestSupport
import Testing

@testable import Conformance

@Suite struct CheckedBackendTests {
  /// The quick cases without mistakes, which throw by intention, and without the device's own functions.
  private static let prepared = Result {
    try ConformanceSuite.cases.filter { $0.isQuick && $0.operation != "mistake" && $0.operation != "builtin" }
      .map(PreparedCase.init)
  }

  private func run(_ prepared: PreparedCase, on backend: any ComputeBackend) throws {
    try prepared.operation.run(
      DeviceSession(backend), prepared.call, cotangent: prepared.cotangent, gradients: prepared.gradients)
  }

  /// Rounding alone, on rows near overflow and large cancellations too, is no disagreement.
  @Test(arguments: Backends.available)
  func rightDevicesAgree(_ backend: TestBackend) throws {
    let checked = CheckedBackend(try backend.make(), against: try Backends.cpu.make())
    for prepared in try Self.prepared.get() {
      do {
        try run(prepared, on: checked)
      } catch let disagreement as Disagreement {
        Issue.record("\(prepared.name): \(disagreement)")
      }
    }
    #expect(checked.comparisons > 1000)
  }

  @Test(arguments: Kernel.allCases.filter { $0 != .builtin })
  func everyBrokenKernelIsNamed(_ kernel: Kernel) throws {
    let cpu = try Backends.cpu.make()
    for fault in [Fault.zeros, .dropsLast, .offByOneTile] {
      // What is the same everywhere can be moved unnoticed.
      if kernel == .fill, fault == .offByOneTile { continue }
      let checked = CheckedBackend(BrokenBackend(cpu, kernel, fault, output: 0), against: cpu)
      var named: Kernel?
      for prepared in try Self.prepared.get() where named == nil {
        do {
          try run(prepared, on: checked)
        } catch let disagreement as Disagreement {
          named = disagreement.kernel
        }
      }
      #expect(named == kernel, "\(fault.rawValue) in \(kernel.rawValue)")
    }
  }

  @Test func aWeightThatIsWrittenToIsCopiedAgain() throws {
    let checked = CheckedBackend(try Backends.cpu.make(), against: try Backends.cpu.make())
    let a = try checked.tensor([1, 2], [1, 2])
    let weight = try checked.tensor([1, 1], [2, 1])
    let options = MatmulOptions(frozen: true)
    #expect(try checked.values(checked.matmul(a, weight, options)) == [3])
    try checked.fill(weight, with: 2)
    #expect(try checked.values(checked.matmul(a, weight, options)) == [6])
    try checked.scale(weight, by: 2, into: weight)
    #expect(try checked.values(checked.matmul(a, weight, options)) == [12])
  }

  @Test func theMessageNamesKernelSizesElementAndDevices() throws {
    let cpu = try Backends.cpu.make()
    let checked = CheckedBackend(BrokenBackend(cpu, .add, .zeros, output: 0), against: cpu)
    let x = try checked.tensor([1, 2, 3], [3])
    let error = #expect(throws: Disagreement.self) { _ = try checked.add(x, x) }
    let text = error?.description ?? ""
    for part in ["cpu disagrees with cpu", "add of [3], [3]", "element", "is 0.0, not"] {
      #expect(text.contains(part), "\(text)")
    }
  }
}
