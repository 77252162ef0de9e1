import Compute
import Conformance
import TestSupport
import Testing

/// What the default bodies of attention owe to rows that see little, and to numbers that are none.
@Suite struct AttentionDefaultTests {
  /// A backend whose cross-entropy has NaN where all logits are -infinity, as its formula has it.
  private final class UndefinedLogarithm: ForwardingBackend {
    override func crossEntropy(
      _ logits: Tensor, _ labels: Indices, ignoreIndex: Int32, losses: Tensor, logSumExp: Tensor
    ) throws {
      try base.crossEntropy(logits, labels, ignoreIndex: ignoreIndex, losses: losses, logSumExp: logSumExp)
      let sums = try base.values(logSumExp).map { $0 == -.infinity ? .nan : $0 }
      try sums.withUnsafeBytes { try base.write($0, to: logSumExp) }
    }
  }

  @Test func queriesThatSeeNothingNeedNoLogarithmOfZero() throws {
    let backend = RequiredKernels(UndefinedLogarithm(try Backends.cpu.make()))
    let report = try ConformanceSuite.run(backend, filter: "^attention/.*(nothing-seen|more-queries|no-keys)")
    for failure in report.cases where failure.status != .passed { Issue.record("\(failure.name): \(failure.reason)") }
    #expect(report.cases.count == 7)
  }

  /// A NaN in one key reaches the queries that see it and the gradients of what they see, and no others.
  @Test func notANumberStaysAmongThoseWhoSeeIt() throws {
    let backend = RequiredKernels(try Backends.cpu.make())
    let (count, width) = (5, 4)
    var keys = normals(count * width, seed: 2)
    keys[1 * width] = .nan
    let q = try backend.tensor(normals(count * width, seed: 1), [count, width])
    let k = try backend.tensor(keys, [count, width])
    let v = try backend.tensor(normals(count * width, seed: 3), [count, width])
    let layout = try AttentionLayout.single(queryCount: count, keyCount: count, causal: true)
    // Every query sees its own key and the one before.
    let attributes = AttentionAttributes(heads: 1, scale: 0.5, window: 2)
    let result = try backend.attention(q: q, k: k, v: v, layout, attributes)
    let cotangent = try backend.tensor(normals(count * width, seed: 4), [count, width])
    let gradients = try backend.attentionBackward(cotangent, q: q, k: k, v: v, result, layout, attributes)
    for (name, tensor, reached) in [
      ("output", result.output, [1, 2]), ("gradient of k", gradients.k, [0, 1, 2]),
      ("gradient of v", gradients.v, [0, 1, 2]),
    ] {
      let values = try backend.values(tensor)
      let notFinite = (0..<count).filter { !values[$0 * width..<($0 + 1) * width].allSatisfy(\.isFinite) }
      #expect(notFinite == reached, "\(name)")
    }
  }
}
