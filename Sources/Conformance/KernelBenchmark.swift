import Compute

/// A case of the table at a size worth timing.
public struct KernelBenchmark: Sendable {
  /// As the conformance cases are named, and as `bench kernels --filter` takes it.
  public var name: String { description.name }
  public var operation: String { description.operation }
  /// Operations and bytes of one forward call.
  public let work: Work
  /// Operations and bytes of the gradient of the first input.
  public let gradientWork: Work
  /// Operands are rounded to bfloat16 before they are multiplied.
  public let roundsOperands: Bool
  private let description: ConformanceCase

  /// The benchmarks, in the order in which they run.
  ///
  /// - Parameter filter: the name of one, or a regular expression that is searched for in names.
  /// - Throws: `ConformanceError.badFilter`, `.nothingMatches`.
  public static func select(filter: String? = nil) throws -> [KernelBenchmark] {
    let all = CaseTable.benchmarks
    let names = try filter.map { try ConformanceSuite.matching($0, in: all.map(\.name)) }
    return try all.filter { names?.contains($0.name) ?? true }.map { try KernelBenchmark($0) }
  }

  private init(_ description: ConformanceCase) throws {
    self.description = description
    let operation = try OperationTable.operation(description.operation)
    // Shapes and types decide the work, not the contents.
    let call = try description.call(of: operation) { HostTensor($0.shape, $0.dtype == .bf16 ? .bf16([]) : .double([])) }
    work = operation.work(call)
    gradientWork = operation.gradientWork(call)
    roundsOperands = ["roundsOperands", "mayRoundOperands"].contains { description.attributes[$0] == true }
  }

  /// The sizes by the names that the table of figures uses: m, n, k of products, else rows and columns.
  public var sizes: [String: Int] {
    guard let x = description.inputs[0]?.shape else { return [:] }
    guard operation == "matmul", let b = description.inputs[1]?.shape else {
      return ["rows": x.rows, "columns": x.columns]
    }
    let isTransposed = description.attributes["transposeB"] == true
    return ["m": x[0], "k": x[1], "n": isTransposed ? b[0] : b[1]]
  }

  /// A call on a device that can be repeated: inputs are uploaded by the first one, results stay there.
  ///
  /// - Returns: the forward call; and, where there is one, forward and the gradient of the first input together.
  /// - Throws: `ComputeError`.
  public func prepare(on backend: any ComputeBackend) throws -> (
    forward: () throws -> Void, withGradient: (() throws -> Void)?
  ) {
    let operation = try OperationTable.operation(description.operation)
    var generator = InputGenerator(name: description.name)
    let call = try description.call(of: operation) { input in
      HostTensor(input.shape, input.fill.values(input.shape, &generator), input.dtype)
    }
    func repeated(_ cotangent: HostTensor?) -> () throws -> Void {
      let session = DeviceSession(backend, isMeasured: true)
      return {
        session.restart()
        try operation.run(session, call, cotangent: cotangent, gradients: cotangent == nil ? [] : [0])
      }
    }
    guard description.wantsGradients, try operation.differentiableInputs(call).contains(0) else {
      return (repeated(nil), nil)
    }
    let shape: Shape = operation.name == "crossEntropy" ? [1] : try operation.outputShape(call)
    let cotangent = HostTensor(shape, InputFill.normal().values(shape, &generator))
    return (repeated(nil), repeated(cotangent))
  }
}
