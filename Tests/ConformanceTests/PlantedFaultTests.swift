import Compute
import TestSupport
import Testing

@testable import Conformance

/// Notes which kernels a case uses, and how many outputs they have.
private final class RecordingBackend: ForwardingBackend {
  private(set) var outputs: [Kernel: Int] = [:]

  override func perform(
    _ kernel: Kernel, inputs: [Tensor?], outputs: [Tensor], _ body: () throws -> Void
  ) throws {
    self.outputs[kernel] = max(self.outputs[kernel] ?? 0, outputs.count)
    try body()
  }

  override func reduce(_ kernel: Kernel, _ input: Tensor, _ body: () throws -> Double) throws -> Double {
    outputs[kernel] = 1
    return try body()
  }
}

/// The quick cases, prepared once, and which of them use which kernel.
private struct Prepared: Sendable {
  let cases: [PreparedCase]
  let users: [Kernel: [Int]]
  let outputs: [Kernel: Int]

  static let quick = Result {
    let cases = try ConformanceSuite.cases.filter(\.isQuick).map(PreparedCase.init)
    var users: [Kernel: [Int]] = [:]
    var outputs: [Kernel: Int] = [:]
    let cpu = try Backends.cpu.make()
    for (index, prepared) in cases.enumerated() {
      let recorder = RecordingBackend(cpu)
      try prepared.operation.run(
        DeviceSession(recorder), prepared.call, cotangent: prepared.cotangent, gradients: prepared.gradients)
      for (kernel, count) in recorder.outputs {
        users[kernel, default: []].append(index)
        outputs[kernel] = max(outputs[kernel] ?? 0, count)
      }
    }
    return Prepared(cases: cases, users: users, outputs: outputs)
  }

  /// Whether one of the kernel's cases fails on a backend.
  func catches(_ backend: any ComputeBackend, _ kernel: Kernel) -> Bool {
    let runner = CaseRunner(backend: backend)
    return (users[kernel] ?? []).contains { runner.check(cases[$0]).status == .failed }
  }
}

@Suite struct PlantedFaultTests {
  @Test func everyKernelIsUsed() throws {
    let prepared = try Prepared.quick.get()
    for kernel in Kernel.allCases {
      let isUsed = prepared.users[kernel]?.isEmpty == false
      #expect(isUsed, "no quick case uses \(kernel.rawValue)")
    }
  }

  @Test(arguments: Kernel.allCases)
  func everyFaultOfEveryOutputIsCaught(_ kernel: Kernel) throws {
    let prepared = try Prepared.quick.get()
    let cpu = try Backends.cpu.make()
    let isReduction = [.sum, .sumOfSquares, .firstNonFinite].contains(kernel)
    for output in 0..<(prepared.outputs[kernel] ?? 0) {
      for fault in Fault.allCases {
        // Whole numbers are not rounded, and a number on the host has no surroundings.
        if kernel == .argmaxRows || kernel == .firstNonFinite, fault == .imprecise || fault == .unsteady { continue }
        if isReduction, fault == .writesBehind || fault == .writesBefore { continue }
        // What is the same everywhere can be moved unnoticed.
        if kernel == .fill, fault == .offByOneTile { continue }
        let isCaught = prepared.catches(BrokenBackend(cpu, kernel, fault, output: output), kernel)
        #expect(isCaught, "\(fault.rawValue) in output \(output) of \(kernel.rawValue)")
      }
    }
  }

  @Test(arguments: ForgetfulBackend.Forgotten.allCases)
  func everyForgottenArgumentIsCaught(_ forgotten: ForgetfulBackend.Forgotten) throws {
    let prepared = try Prepared.quick.get()
    let kernel: Kernel =
      switch forgotten {
      case .mask, .softmaxScale: .softmax
      case .causality, .window, .bias, .sharedKeys, .attentionScale: .attention
      case .productBias, .alpha, .beta, .productActivation, .rounding: .matmul
      case .epsilon, .layerBias: .layerNorm
      case .weightDecay, .stepCount: .adamW
      case .clipping: .adafactor
      case .interleaving, .magnitude: .rotary
      case .probability: .dropout
      case .repeatedRows: .scatterAddRows
      }
    let isCaught = prepared.catches(ForgetfulBackend(try Backends.cpu.make(), forgotten), kernel)
    #expect(isCaught)
  }

  @Test func memoryThatIsNotGivenBackIsFound() throws {
    final class Leaking: ForwardingBackend {
      private var kept: [Tensor] = []
      override func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor {
        let tensor = try super.allocate(shape, dtype)
        kept.append(tensor)
        return tensor
      }
    }
    let prepared = try #require(try Prepared.quick.get().cases.first)
    let outcome = CaseRunner(backend: Leaking(try Backends.cpu.make())).check(prepared)
    #expect(outcome.status == .failed)
    #expect(outcome.reason.contains("not given back"))
  }

  @Test func soundForwardingPasses() throws {
    let runner = CaseRunner(backend: ForwardingBackend(try Backends.cpu.make()))
    for prepared in try Prepared.quick.get().cases.prefix(20) { #expect(runner.check(prepared).status == .passed) }
  }
}
