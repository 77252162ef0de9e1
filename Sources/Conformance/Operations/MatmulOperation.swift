import Compute

/// `activation(alpha op(A) op(B) + beta C + bias)`.
struct MatmulOperation: ConformanceOperation {
  enum Epilogue: String, CaseIterable {
    case none, relu, silu, gelu, tanh
    case geluTanh = "gelu_tanh"

    var activation: Activation? { Activation(rawValue: rawValue) }
  }

  let documentation = OperationDocumentation(
    name: "matmul",
    inputs: [
      InputDocumentation(0, "A", "[.., M, K], or [.., K, M] if transposeA"),
      InputDocumentation(
        1, "B", "[.., K, N], or [.., N, K] if transposeB; leading sizes of A or none; F32, BF16 or F16",
        types: InputDocumentation.weightTypes),
      InputDocumentation(2, "bias", "[N]", optional: true),
      InputDocumentation(3, "C", "[.., M, N]", optional: true),
    ],
    attributes: [
      AttributeDocumentation("transposeA", false, "A is stored [.., K, M]"),
      AttributeDocumentation("transposeB", false, "B is stored [.., N, K]"),
      AttributeDocumentation("alpha", 1, "factor on the product"),
      AttributeDocumentation("beta", 1, "factor on C"),
      AttributeDocumentation("activation", "none", "none, relu, silu, gelu, gelu_tanh or tanh"),
      AttributeDocumentation("frozen", false, "B is a frozen weight that may be repacked; no gradient.1"),
      AttributeDocumentation(
        "roundsOperands", false, "operands are rounded to bfloat16 before they are multiplied", isInternal: true),
      AttributeDocumentation("inPlace", false, "the product is added onto C's own memory", isInternal: true),
    ],
    output: "activation(alpha op(A) op(B) + beta C + bias) [.., M, N]")

  private func options(_ call: OperationCall) throws -> MatmulOptions {
    let attributes = call.attributes
    return MatmulOptions(
      transposeA: try attributes.bool("transposeA"), transposeB: try attributes.bool("transposeB"),
      alpha: try attributes.float("alpha"), beta: try attributes.float("beta"),
      activation: try attributes.choice("activation", Epilogue.self).activation,
      frozen: try attributes.bool("frozen"), roundsOperands: try attributes.bool("roundsOperands"))
  }

  func differentiableInputs(_ call: OperationCall) throws -> Set<Int> {
    var inputs = Set(call.inputs.keys)
    if try call.attributes.bool("frozen") || call.attributes.bool("inPlace") { inputs.remove(1) }
    if try call.attributes.bool("inPlace") { inputs = [] }
    return inputs
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    var options = try options(call)
    let a = try session.input(0, of: call)
    let b = try session.input(1, of: call)
    if try call.attributes.bool("inPlace") {
      let addend = try session.input(3, of: call, isMutable: true)
      try backend.accumulateMatmul(a, b, options, onto: addend)
      return try session.emit("output.0", addend)
    }
    let bias = try session.optionalInput(2, of: call)
    let addend = try session.optionalInput(3, of: call)
    try session.emit("output.0", try backend.matmul(a, b, options, bias: bias, addend: addend))
    guard let cotangent else { return }

    var gradient = try session.upload(cotangent)
    if let activation = options.activation {
      options.activation = nil
      let before = try backend.matmul(a, b, options, bias: bias, addend: addend)
      gradient = try backend.activationBackward(activation, gradient, x: before)
    }
    if gradients.contains(0) {
      try session.emit("gradient.0", try backend.matmulBackwardA(gradient, b, options))
    }
    if gradients.contains(1) {
      let isShared = b.shape.rank == 2
      try session.emit("gradient.1", try backend.matmulBackwardB(gradient, a, options, shared: isShared))
    }
    if gradients.contains(2) {
      let rows = try gradient.reshaped([gradient.rowCount, gradient.columnCount])
      try session.emit("gradient.2", try backend.columnSums(rows))
    }
    if gradients.contains(3) { try session.emit("gradient.3", try backend.scale(gradient, by: options.beta)) }
  }

  /// Sizes and strides of one call, so that the loops below read as the formulas do.
  private struct Geometry {
    let batch, m, n, k: Int
    let sharedB: Bool
    let (aRow, aColumn, bRow, bColumn): (Int, Int, Int, Int)
    let shape: Shape

    init(_ a: Shape, _ b: Shape, _ options: MatmulOptions) {
      let leading = Array(a.dimensions.dropLast(2))
      batch = leading.reduce(1, *)
      sharedB = b.rank == 2
      let (aRows, aColumns) = (a[a.rank - 2], a[a.rank - 1])
      let (bRows, bColumns) = (b[b.rank - 2], b[b.rank - 1])
      (m, k) = options.transposeA ? (aColumns, aRows) : (aRows, aColumns)
      n = options.transposeB ? bRows : bColumns
      (aRow, aColumn) = options.transposeA ? (1, m) : (k, 1)
      (bRow, bColumn) = options.transposeB ? (1, k) : (n, 1)
      shape = Shape(leading + [m, n])
    }

    func a(_ batch: Int) -> Int { batch * m * k }
    func b(_ batch: Int) -> Int { sharedB ? 0 : batch * k * n }
  }

  func outputShape(_ call: OperationCall) throws -> Shape {
    Geometry(call.shape(0), call.shape(1), try options(call)).shape
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let options = try options(call)
    let geometry = Geometry(call.shape(0), call.shape(1), options)
    let (m, n, k) = (geometry.m, geometry.n, geometry.k)
    func operand(_ values: [Double]) -> [Double] {
      options.roundsOperands ? values.map { Double(HalfPrecision.float(bf16: HalfPrecision.bf16(Float($0)))) } : values
    }
    let (exactA, exactB) = (call.doubles(0), call.doubles(1))
    let (a, b) = (operand(exactA), operand(exactB))
    let bias = call.inputs[2].map(\.doubles)
    let addend = call.inputs[3].map(\.doubles)
    let alpha = Tracked(Double(options.alpha))
    let beta = Tracked(Double(options.beta))

    var before: [Tracked] = []
    before.reserveCapacity(geometry.shape.count)
    for batch in 0..<geometry.batch {
      for i in 0..<m {
        for j in 0..<n {
          var value =
            alpha
            * trackedDot(
              a, geometry.a(batch) + i * geometry.aRow, geometry.aColumn, b, geometry.b(batch) + j * geometry.bColumn,
              geometry.bRow, k)
          if let addend { value = value + beta * Tracked(addend[before.count]) }
          if let bias { value = value + Tracked(bias[j]) }
          before.append(value)
        }
      }
    }
    var results: [String: Expectation] = [:]
    if let activation = options.activation {
      results["output.0"] = Expectation(geometry.shape, before.map { activation.value($0) })
    } else {
      results["output.0"] = Expectation(geometry.shape, before)
    }
    guard let cotangent else { return results }

    let gradient = zip(cotangent, before).map { cotangent, before in
      options.activation.map { Tracked(cotangent) * $0.slope(before) } ?? Tracked(cotangent)
    }
    if gradients.contains(0) {
      let rounded = options.roundsOperands && !options.transposeA
      let cotangents =
        rounded ? zip(operand(gradient.map(\.value)), gradient).map { Tracked($0, error: $1.error) } : gradient
      let factor = rounded ? b : exactB
      var sums = [TrackedSum](repeating: TrackedSum(), count: exactA.count)
      for batch in 0..<geometry.batch {
        for i in 0..<m {
          for p in 0..<k {
            let place = geometry.a(batch) + i * geometry.aRow + p * geometry.aColumn
            for j in 0..<n {
              let other = geometry.b(batch) + p * geometry.bRow + j * geometry.bColumn
              sums[place].add(cotangents[(batch * m + i) * n + j], times: Tracked(factor[other]))
            }
          }
        }
      }
      results["gradient.0"] = Expectation(call.shape(0), sums.map { alpha * $0.total() })
    }
    if gradients.contains(1) {
      var sums = [TrackedSum](repeating: TrackedSum(), count: exactB.count)
      for batch in 0..<geometry.batch {
        for p in 0..<k {
          for j in 0..<n {
            let place = geometry.b(batch) + p * geometry.bRow + j * geometry.bColumn
            for i in 0..<m {
              let other = geometry.a(batch) + i * geometry.aRow + p * geometry.aColumn
              sums[place].add(gradient[(batch * m + i) * n + j], times: Tracked(exactA[other]))
            }
          }
        }
      }
      results["gradient.1"] = Expectation(call.shape(1), sums.map { alpha * $0.total() })
    }
    if gradients.contains(2) { results["gradient.2"] = Expectation([n], trackedColumnSums(gradient, columns: n)) }
    if gradients.contains(3) { results["gradient.3"] = Expectation(geometry.shape, gradient.map { beta * $0 }) }
    return results
  }

  func work(_ call: OperationCall) -> Work {
    guard let options = try? options(call), call.shape(0).rank >= 2, call.shape(1).rank >= 2 else {
      return Work(flops: 0, bytes: 0)
    }
    let geometry = Geometry(call.shape(0), call.shape(1), options)
    let operands = call.inputs.values.reduce(0) { $0 + $1.shape.count * $1.dtype.byteCount }
    return Work(
      flops: 2 * Double(geometry.batch * geometry.m) * Double(geometry.n * geometry.k),
      bytes: Double(operands + geometry.shape.count * 4))
  }

  /// The cotangent takes the output's place, and the gradient that of A.
  func gradientWork(_ call: OperationCall) -> Work { work(call) }
}

/// The sums of the columns of a row-major matrix.
func trackedColumnSums(_ values: [Tracked], columns: Int) -> [Tracked] {
  var sums = [TrackedSum](repeating: TrackedSum(), count: columns)
  for (index, value) in values.enumerated() { sums[index % columns].add(value) }
  return sums.map { $0.total() }
}
