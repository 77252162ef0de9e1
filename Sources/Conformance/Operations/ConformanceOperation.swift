import Compute

/// An input of an operation, for `--list`.
public struct InputDocumentation: Sendable {
  /// Its place: `input.N` in a vector file.
  public let index: Int
  public let name: String
  public let text: String
  /// The element types that it may have.
  public let types: [DType]
  public let isOptional: Bool

  static let weightTypes: [DType] = [.f32, .bf16, .f16]

  init(_ index: Int, _ name: String, _ text: String, types: [DType] = [.f32], optional: Bool = false) {
    self.index = index
    self.types = types
    self.name = name
    self.text = text
    self.isOptional = optional
  }
}

/// What `--list` prints about an operation.
public struct OperationDocumentation: Sendable {
  public let name: String
  public let inputs: [InputDocumentation]
  public let attributes: [AttributeDocumentation]
  /// What the outputs are, with their shapes.
  public let output: String

  /// - Throws: `ConformanceError.invalidCall` for a missing input, one too many, or an element type it cannot have.
  func check(_ given: [Int: HostTensor]) throws {
    // The parts of a concatenation go on without end.
    let isOpen = name == "concatRows" || name == "concatColumns"
    for (index, tensor) in given.sorted(by: { $0.key < $1.key }) {
      guard let input = inputs.first(where: { $0.index == index }) ?? (isOpen ? inputs.first : nil) else {
        throw ConformanceError.invalidCall("\(name) has no input.\(index)")
      }
      guard input.types.contains(tensor.dtype) else {
        throw ConformanceError.invalidCall("input.\(index) of \(name) cannot be \(tensor.dtype.rawValue)")
      }
    }
    for input in inputs where !input.isOptional && given[input.index] == nil {
      throw ConformanceError.invalidCall("input.\(input.index) is missing")
    }
  }
}

/// Inputs and attributes of one call.
struct OperationCall: Sendable {
  var inputs: [Int: HostTensor]
  var attributes: AttributeValues

  /// - Throws: `ConformanceError.invalidCall` if the input is absent.
  func input(_ index: Int) throws -> HostTensor {
    guard let input = inputs[index] else { throw ConformanceError.invalidCall("input.\(index) is missing") }
    return input
  }

  /// The exact values of an input, in the case's own, well-formed calls.
  func doubles(_ index: Int) -> [Double] { inputs[index]?.doubles ?? [] }

  func shape(_ index: Int) -> Shape { inputs[index]?.shape ?? [0] }
}

/// What a result must be, with a bound for every element.
struct Expectation: Sendable {
  var shape: Shape
  var values: [Tracked]

  init(_ shape: Shape, _ values: [Tracked]) {
    precondition(values.count == shape.count)
    self.shape = shape
    self.values = values
  }

  /// Exact values: nothing is rounded on the way.
  init(_ shape: Shape, exact values: [Double]) { self.init(shape, values.map { Tracked($0) }) }
}

/// One operation: its documentation, how a backend is asked for it, and what the result must be.
///
/// Results have names: `output.N`, `gradient.N` (of the sum of output.0 times a cotangent, with respect to input.N), and
/// names of their own for what an operation keeps for its backward pass.
protocol ConformanceOperation: Sendable {
  var documentation: OperationDocumentation { get }

  /// The inputs that gradients can be asked for.
  func differentiableInputs(_ call: OperationCall) throws -> Set<Int>

  /// Computes on a device.
  ///
  /// - Parameters:
  ///   - cotangent: of `output.0`; without one there are no gradients.
  ///   - gradients: the inputs whose gradients are wanted.
  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws

  /// Computes with plain loops in Double. Only for calls whose shapes are right.
  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation]

  /// The shape of `output.0`, and so of its cotangent.
  func outputShape(_ call: OperationCall) throws -> Shape

  func work(_ call: OperationCall) -> Work

  /// The work of the gradient of the first input.
  func gradientWork(_ call: OperationCall) -> Work
}

extension ConformanceOperation {
  var name: String { documentation.name }

  func differentiableInputs(_ call: OperationCall) throws -> Set<Int> { [] }

  func outputShape(_ call: OperationCall) throws -> Shape {
    try reference(call, cotangent: nil, gradients: [])["output.0"]?.shape ?? []
  }

  /// As much as the operation itself, and a cotangent to be read.
  func gradientWork(_ call: OperationCall) -> Work {
    let work = work(call)
    return Work(flops: work.flops, bytes: work.bytes + 4 * Double(call.shape(0).count))
  }

  /// Every element read or written once, one operation each; the output is as large as the first input.
  func work(_ call: OperationCall) -> Work {
    let output = Double(call.shape(0).count)
    let elements = call.inputs.values.reduce(output) { $0 + Double($1.shape.count) }
    return Work(
      flops: elements,
      bytes: call.inputs.values.reduce(4 * output) { $0 + Double($1.shape.count * $1.dtype.byteCount) })
  }
}

/// One run of an operation on a device: the uploaded inputs, and the results by name.
final class DeviceSession {
  let backend: any ComputeBackend
  private(set) var results: [String: HostTensor] = [:]
  private var uploaded: [(index: Int, host: HostTensor, tensor: Tensor)] = []
  /// Results stay on the device, and what is uploaded once serves every further run of the same call.
  private let isMeasured: Bool
  private var kept: [Tensor] = []
  private var keptIndices: [Int: Indices] = [:]
  private var uploads = 0

  init(_ backend: any ComputeBackend, isMeasured: Bool = false) {
    self.backend = backend
    self.isMeasured = isMeasured
  }

  /// Begins the same call anew.
  func restart() { uploads = 0 }

  /// An input on the device.
  ///
  /// - Parameter isMutable: the operation works in place; the input may change.
  func input(_ index: Int, of call: OperationCall, isMutable: Bool = false) throws -> Tensor {
    if let known = uploaded.first(where: { $0.index == index }) { return known.tensor }
    let host = try call.input(index)
    let tensor = try backend.upload(host)
    if !isMutable { uploaded.append((index, host, tensor)) }
    return tensor
  }

  func optionalInput(_ index: Int, of call: OperationCall) throws -> Tensor? {
    call.inputs[index] == nil ? nil : try input(index, of: call)
  }

  /// An input of row numbers, labels or positions.
  func indices(_ index: Int, of call: OperationCall) throws -> Indices {
    let host = try call.input(index)
    guard case .i32(let values) = host.elements, host.shape.rank == 1 else {
      throw ConformanceError.invalidCall("input.\(index) is \(host.dtype.rawValue) \(host.shape), not i32 [count]")
    }
    if let known = keptIndices[index] { return known }
    let indices = try backend.indices(values)
    if isMeasured { keptIndices[index] = indices }
    return indices
  }

  /// Of inputs that a kernel relies on to have one shape.
  ///
  /// - Throws: `ConformanceError.invalidCall` naming the first that differs from input 0.
  func requireSameShapes(_ indices: [Int], of call: OperationCall) throws {
    let shape = try call.input(0).shape
    for index in indices {
      let other = try call.input(index).shape
      guard other == shape else {
        throw ConformanceError.invalidCall("input.\(index) has shape \(other), input.0 \(shape)")
      }
    }
  }

  func upload(_ host: HostTensor) throws -> Tensor {
    guard isMeasured else { return try backend.upload(host) }
    uploads += 1
    if uploads <= kept.count { return kept[uploads - 1] }
    kept.append(try backend.upload(host))
    return kept[uploads - 1]
  }

  func emit(_ name: String, _ tensor: Tensor) throws {
    if !isMeasured { results[name] = try backend.download(tensor) }
  }

  func emit(_ name: String, _ host: HostTensor) { results[name] = host }

  /// The first input that the device no longer holds as it was uploaded.
  func changedInput() throws -> Int? {
    for (index, host, tensor) in uploaded where try !backend.download(tensor).hasSameBits(as: host) { return index }
    return nil
  }
}
