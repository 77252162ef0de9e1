import Compute

/// What went wrong while values were recorded or differentiated.
public enum AutodiffError: Error, Sendable, CustomStringConvertible {
  /// A tensor with a NaN or an infinity, found by a checking tape: its name and the first bad element.
  case nonFinite(tensor: String, element: Int)
  /// A gradient was asked for a value that no trainable parameter reaches.
  case nothingToDifferentiate(String)
  /// A vector-Jacobian product returned another number of gradients than there are inputs.
  case wrongGradientCount(operation: String, expected: Int, got: Int)

  public var description: String {
    switch self {
    case .nonFinite(let tensor, let element): "\(tensor) is not finite at element \(element)"
    case .nothingToDifferentiate(let name): "\(name) does not depend on anything trainable"
    case .wrongGradientCount(let operation, let expected, let got):
      "the gradient of \(operation) has \(got) parts for \(expected) inputs"
    }
  }
}

/// A record of operations from which gradients are computed in reverse.
///
/// An operation is recorded with its vector-Jacobian product or not at all: `record` asks for it. What depends on
/// nothing trainable is computed and forgotten: no closure, no kept activations, no gradient.
public final class Tape {
  public let backend: any ComputeBackend
  /// A tape that does not record computes values only, as in evaluation and decoding.
  public let isRecording: Bool
  /// Look at every value and every gradient, and throw `AutodiffError.nonFinite` at the first bad one.
  ///
  /// Slow.
  public let checksFiniteness: Bool
  /// Layers keep what they read alone, and compute what is inside them again in the backward pass.
  public let recomputesLayers: Bool
  /// What is left out.
  public let savings: ExactSavings

  private struct Operation {
    let outputs: [Variable.Node]
    let inputs: [Variable.Node]
    let vjp: (_ cotangents: [Tensor?], _ wanted: [Bool]) throws -> [Tensor?]
  }

  /// The variables of parameters, one table for a tape and those inside it.
  private final class Parameters {
    /// Whether the outermost tape records.
    let isRecording: Bool
    var variables: [ObjectIdentifier: Variable] = [:]
    /// Keeps them alive, so that no other parameter comes to lie at an address that is a key.
    var known: [Parameter] = []

    init(isRecording: Bool) { self.isRecording = isRecording }
  }

  private var operations: [Operation] = []
  private let parameters: Parameters
  private var scopes: [String]
  /// Differentiable values that operations on a tape without a record read: each once, in order.
  private var read: [Variable] = []

  public init(
    _ backend: any ComputeBackend, isRecording: Bool = true, checksFiniteness: Bool = false,
    recomputesLayers: Bool = false, savings: ExactSavings = .all
  ) {
    self.backend = backend
    self.isRecording = isRecording
    self.checksFiniteness = checksFiniteness
    self.recomputesLayers = recomputesLayers
    self.savings = savings
    parameters = Parameters(isRecording: isRecording)
    scopes = []
  }

  /// A tape for one layer of a model.
  private init(
    _ parent: (backend: any ComputeBackend, parameters: Parameters, checks: Bool, savings: ExactSavings),
    scopes: [String], isRecording: Bool
  ) {
    backend = parent.backend
    savings = parent.savings
    parameters = parent.parameters
    checksFiniteness = parent.checks
    recomputesLayers = false
    self.isRecording = isRecording
    self.scopes = scopes
  }

  /// Whether nothing will be differentiated, neither on this tape nor on one around it.
  var isForValuesAlone: Bool { !parameters.isRecording }

  // MARK: - Values

  /// A value that nothing trainable reaches.
  public func constant(_ value: Tensor, name: String = "constant") -> Variable {
    Variable(value, requiresGradient: false, name: qualified(name))
  }

  /// The variable of a parameter: one and the same for every use on this tape, so that gradients add up.
  public func variable(_ parameter: Parameter) -> Variable {
    let key = ObjectIdentifier(parameter)
    if let known = parameters.variables[key] { return known }
    let variable = Variable(
      parameter.value, requiresGradient: parameters.isRecording && parameter.isTrainable,
      isFrozen: !parameter.isTrainable, name: parameter.name)
    parameters.variables[key] = variable
    parameters.known.append(parameter)
    return variable
  }

  /// A trainable leaf that is not a parameter, for gradients with respect to inputs.
  public func leaf(_ value: Tensor, name: String) -> Variable {
    Variable(value, requiresGradient: isRecording, name: qualified(name))
  }

  /// Names the values recorded inside `body` after a part of the model (`h.3.attn`).
  public func scope<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
    scopes.append(name)
    defer { scopes.removeLast() }
    return try body()
  }

  // MARK: - Recording

  /// Puts a computed value on the tape.
  ///
  /// - Parameters:
  ///   - operation: its name, for reports.
  ///   - output: the computed value.
  ///   - inputs: what it was computed from.
  ///   - rows: the rows of the output that something trainable reaches (`Variable.gradientRows`), where the operation
  ///     keeps rows apart; the cotangent has these rows alone.
  ///   - vjp: given the cotangent of the output and which inputs want a gradient, the gradient of each input (nil
  ///     where none is wanted). It may return the cotangent itself.
  /// - Throws: `AutodiffError.nonFinite` on a checking tape.
  public func record(
    _ operation: String, _ output: Tensor, inputs: [Variable], rows: Range<Int>? = nil,
    vjp: @escaping (_ cotangent: Tensor, _ wanted: [Bool]) throws -> [Tensor?]
  ) throws -> Variable {
    let variables = try record(operation, outputs: [output], inputs: inputs, rows: rows) { cotangents, wanted in
      guard let cotangent = cotangents[0] else { return wanted.map { _ in nil } }
      return try vjp(cotangent, wanted)
    }
    return variables[0]
  }

  /// Puts the results of an operation with several of them on the tape.
  ///
  /// - Parameter vjp: given the cotangents of the outputs (nil for one that nothing depends on, not all nil) and which
  ///   inputs want a gradient, the gradient of each input.
  public func record(
    _ operation: String, outputs: [Tensor], inputs: [Variable], rows: Range<Int>? = nil,
    vjp: @escaping (_ cotangents: [Tensor?], _ wanted: [Bool]) throws -> [Tensor?]
  ) throws -> [Variable] {
    let name = qualified(operation)
    if checksFiniteness { for output in outputs { try check(output, name) } }
    let requiresGradient = isRecording && inputs.contains { $0.requiresGradient }
    let variables = outputs.map { Variable($0, requiresGradient: requiresGradient, rows: rows, name: name) }
    if requiresGradient {
      operations.append(Operation(outputs: variables.map(\.node), inputs: inputs.map(\.node), vjp: vjp))
    }
    if !isRecording {
      for input in inputs where input.requiresGradient && !read.contains(where: { $0 === input }) { read.append(input) }
    }
    return variables
  }

  /// Records one layer of a model, named as a scope.
  ///
  /// On a tape that recomputes layers, the values inside are forgotten and computed again when the gradient reaches the
  /// layer (Chen et al., 2016): what is kept of it is what it reads. The gradients are the same to the bit.
  ///
  /// - Parameter body: puts the layer on the tape that it is given. It must compute the same a second time, as everything
  ///   does whose random numbers come from a seed and a stream that it was given.
  public func layer(_ name: String, _ body: @escaping (Tape) throws -> Variable) throws -> Variable {
    guard isRecording, recomputesLayers else { return try scope(name) { try body(self) } }
    let (parent, inner) = ((backend, parameters, checksFiniteness, savings), scopes + [name])
    let forward = Tape(parent, scopes: inner, isRecording: false)
    let output = try body(forward).value
    let inputs = forward.read
    return try record(name, output, inputs: inputs) { cotangent, wanted in
      let again = Tape(parent, scopes: inner, isRecording: true)
      let gradients = try again.gradients(of: try body(again), cotangent: cotangent)
      return zip(inputs, wanted).map { $1 ? gradients[$0] : nil }
    }
  }

  /// The gradients of `sum(output cotangent)` with respect to every trainable leaf.
  ///
  /// Empties the tape.
  ///
  /// - Parameter cotangent: the shape of the output.
  /// - Throws: `AutodiffError.nothingToDifferentiate` if nothing trainable is reached.
  public func gradients(of output: Variable, cotangent: Tensor) throws -> Gradients {
    guard output.requiresGradient else { throw AutodiffError.nothingToDifferentiate(output.name) }
    guard output.shape == cotangent.shape else {
      throw ComputeError.shapeMismatch(operation: "gradients", output.shape, cotangent.shape)
    }
    var gradients = Gradients(variables: parameters.variables)
    try gradients.accumulate(cotangent, for: output.node, owned: false, backend)
    while let operation = operations.popLast() {
      let cotangents = operation.outputs.map { gradients.take($0) }
      guard cotangents.contains(where: { $0 != nil }) else { continue }
      let wanted = operation.inputs.map(\.requiresGradient)
      let parts = try operation.vjp(cotangents, wanted)
      let name = operation.outputs[0].name
      guard parts.count == operation.inputs.count else {
        throw AutodiffError.wrongGradientCount(
          operation: name, expected: operation.inputs.count, got: parts.count)
      }
      for (input, part) in zip(operation.inputs, parts) where input.requiresGradient {
        guard let part else { continue }
        if checksFiniteness { try check(part, "gradient of \(input.name) in \(name)") }
        let fresh =
          !cotangents.contains { $0?.storage === part.storage }
          && parts.count(where: { $0?.storage === part.storage }) == 1
        try gradients.accumulate(part, for: input, owned: fresh, backend)
      }
    }
    return gradients
  }

  private func check(_ tensor: Tensor, _ name: String) throws {
    guard tensor.dtype == .f32, !tensor.isEmpty else { return }
    if let element = try backend.firstNonFinite(tensor) {
      throw AutodiffError.nonFinite(tensor: name, element: element)
    }
  }

  private func qualified(_ name: String) -> String { (scopes + [name]).joined(separator: ".") }
}

/// The gradients that a tape computed.
public struct Gradients {
  private struct Entry {
    /// Kept so that nothing else can come to lie at its address, which is the key.
    let node: Variable.Node
    var tensor: Tensor
    /// Nobody else refers to this memory, so sums may be formed in it.
    var isOwned: Bool
  }

  private var entries: [ObjectIdentifier: Entry] = [:]
  private let variables: [ObjectIdentifier: Variable]

  init(variables: [ObjectIdentifier: Variable]) { self.variables = variables }

  /// The gradient of a parameter, in its shape; nil if none reached it.
  public subscript(_ parameter: Parameter) -> Tensor? {
    guard let variable = variables[ObjectIdentifier(parameter)] else { return nil }
    return self[variable]
  }

  /// The gradient of a leaf, in its shape; nil if none reached it.
  public subscript(_ variable: Variable) -> Tensor? { entries[ObjectIdentifier(variable.node)]?.tensor }

  /// How many values hold a gradient.
  public var count: Int { entries.count }

  mutating func take(_ node: Variable.Node) -> Tensor? {
    entries.removeValue(forKey: ObjectIdentifier(node))?.tensor
  }

  mutating func accumulate(
    _ gradient: Tensor, for node: Variable.Node, owned: Bool, _ backend: any ComputeBackend
  ) throws {
    let gradient = try node.rows(of: gradient)
    let key = ObjectIdentifier(node)
    guard let entry = entries[key] else {
      entries[key] = Entry(node: node, tensor: gradient, isOwned: owned)
      return
    }
    if entry.isOwned {
      try backend.addScaled(gradient, 1, onto: entry.tensor)
    } else if owned {
      try backend.addScaled(entry.tensor, 1, onto: gradient)
      entries[key] = Entry(node: node, tensor: gradient, isOwned: true)
    } else {
      entries[key] = Entry(node: node, tensor: try backend.add(entry.tensor, gradient), isOwned: true)
    }
  }
}
