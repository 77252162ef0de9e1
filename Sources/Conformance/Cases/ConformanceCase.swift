import Compute

/// One entry of the table of cases.
public struct ConformanceCase: Sendable {
  /// An input: its shape, element type and contents.
  struct Input: Sendable {
    var shape: Shape
    var dtype: DType
    var fill: InputFill

    init(_ shape: Shape, _ fill: InputFill = .normal(), _ dtype: DType = .f32) {
      self.shape = shape
      self.dtype = dtype
      self.fill = fill
    }

    /// Row numbers, labels or positions.
    static func integers(_ count: Int, _ fill: InputFill) -> Input { Input([count], fill, .i32) }
  }

  public let operation: String
  /// Sizes and attributes; together with the operation, the name.
  let label: String
  let attributes: [String: AttributeValue]
  let inputs: [Int: Input]
  let wantsGradients: Bool
  /// NaN or infinity goes in and must come out.
  let allowsNaN: Bool
  /// Whether `--quick` runs it.
  public let isQuick: Bool

  init(
    _ operation: String, _ label: String, _ inputs: [Int: Input], _ attributes: [String: AttributeValue] = [:],
    gradients: Bool = true, nonFinite: Bool = false, quick: Bool = false
  ) {
    self.operation = operation
    self.label = label
    self.inputs = inputs
    self.attributes = attributes
    self.wantsGradients = gradients && !nonFinite
    self.allowsNaN = nonFinite
    self.isQuick = quick
  }

  /// What is printed, and what `--filter` takes.
  ///
  /// It decides the inputs' random numbers, too.
  public var name: String { "\(operation)/\(label)" }
}

extension ConformanceCase {
  /// The call that the case describes.
  ///
  /// - Parameter contents: asked for each input, in their order.
  func call(of operation: any ConformanceOperation, _ contents: (Input) -> HostTensor) throws -> OperationCall {
    var tensors: [Int: HostTensor] = [:]
    for (index, input) in inputs.sorted(by: { $0.key < $1.key }) { tensors[index] = contents(input) }
    return OperationCall(
      inputs: tensors,
      attributes: try AttributeValues(
        attributes, of: operation.name, documented: operation.documentation.attributes, allowsInternal: true))
  }
}

/// A case with its inputs drawn and its results computed in Double.
struct PreparedCase: Sendable {
  let name: String
  let operation: any ConformanceOperation
  let call: OperationCall
  let cotangent: HostTensor?
  let gradients: Set<Int>
  let expectations: [String: Expectation]
  /// The same where denormal inputs count as 0; nil if there are none.
  let flushedExpectations: [String: Expectation]?
  let allowsNaN: Bool

  init(_ description: ConformanceCase) throws {
    name = description.name
    operation = try OperationTable.operation(description.operation)
    var generator = InputGenerator(name: description.name)
    call = try description.call(of: operation) { input in
      HostTensor(input.shape, input.fill.values(input.shape, &generator), input.dtype)
    }
    gradients = description.wantsGradients ? try operation.differentiableInputs(call) : []
    allowsNaN = description.allowsNaN
    if gradients.isEmpty {
      cotangent = nil
    } else {
      let shape = try operation.outputShape(call)
      cotangent = HostTensor(shape, InputFill.normal().values(shape, &generator))
    }
    expectations = try operation.reference(call, cotangent: cotangent?.doubles, gradients: gradients)
    var flushed = call
    flushed.inputs = call.inputs.mapValues(\.withoutDenormals)
    flushedExpectations =
      flushed.inputs == call.inputs
      ? nil : try operation.reference(flushed, cotangent: cotangent?.doubles, gradients: gradients)
  }

  /// What a device must give.
  ///
  /// One that takes denormal inputs for 0 may be off by what that changes.
  func expectations(flushesDenormals: Bool) -> [String: Expectation] {
    guard flushesDenormals, let flushedExpectations else { return expectations }
    return expectations.merging(flushedExpectations) { full, flushed in
      Expectation(
        full.shape,
        zip(full.values, flushed.values).map { Tracked($0.value, error: $0.error + abs($0.value - $1.value)) })
    }
  }
}
