import Compute

/// Reductions to a number on the host.
struct ReductionOperation: ConformanceOperation {
  enum Kind: String { case sum, sumOfSquares, firstNonFinite }

  let documentation: OperationDocumentation
  private let kind: Kind

  /// "At most a few thousand" terms of a partial sum in f32, as the kernels' contract has it.
  private static let longestPartialSum = 4096

  init(_ kind: Kind) {
    self.kind = kind
    let output =
      switch kind {
      case .sum: "the sum of all elements"
      case .sumOfSquares: "the sum of their squares"
      case .firstNonFinite: "the place of the first NaN or infinity, -1 if there is none"
      }
    documentation = OperationDocumentation(
      name: kind.rawValue, inputs: [InputDocumentation(0, "X", "any shape")], attributes: [],
      output: "[1]: \(output)")
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let x = try session.input(0, of: call)
    let value: Double =
      switch kind {
      case .sum: try session.backend.sum(x)
      case .sumOfSquares: try session.backend.sumOfSquares(x)
      case .firstNonFinite: Double(try session.backend.firstNonFinite(x) ?? -1)
      }
    session.emit("output.0", HostTensor([1], .double([value])))
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let x = call.doubles(0)
    if kind == .firstNonFinite {
      return ["output.0": Expectation([1], exact: [Double(x.firstIndex { !$0.isFinite } ?? -1)])]
    }
    var sum = TrackedSum()
    for value in x { sum.add(kind == .sum ? value : value * value) }
    return ["output.0": Expectation([1], [sum.total(longest: Self.longestPartialSum)])]
  }
}
