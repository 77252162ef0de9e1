import Compute

/// Rows of a table.
struct GatherRowsOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "gatherRows",
    inputs: [
      InputDocumentation(0, "table", "[R, n]; F32, BF16 or F16", types: InputDocumentation.weightTypes),
      InputDocumentation(1, "indices", "I32 [m], in 0..<R", types: [.i32]),
    ],
    attributes: [], output: "[m, n]")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  /// Only the rows that are asked for are read.
  func work(_ call: OperationCall) -> Work {
    let elements = Double(call.shape(1).count * call.shape(0).columns)
    let read = Double(call.inputs[0]?.dtype.byteCount ?? 4)
    return Work(flops: elements, bytes: elements * (read + 4))
  }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let table = try session.input(0, of: call)
    let indices = try session.indices(1, of: call)
    try session.emit("output.0", try backend.gatherRows(table, indices))
    guard let cotangent, gradients.contains(0) else { return }
    let gradient = try backend.zeros(table.shape)
    try backend.scatterAddRows(indices, updates: try session.upload(cotangent), onto: gradient)
    try session.emit("gradient.0", gradient)
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let table = call.doubles(0)
    let indices = call.inputs[1]?.integers ?? []
    let n = call.shape(0).columns
    let values = indices.flatMap { index in table[Int(index) * n..<(Int(index) + 1) * n] }
    var results = ["output.0": Expectation([indices.count, n], exact: values)]
    if let cotangent, gradients.contains(0) {
      results["gradient.0"] = Expectation(
        call.shape(0), trackedScatterAdd(onto: [Double](repeating: 0, count: table.count), indices, cotangent, n))
    }
    return results
  }
}

/// A base plus every update at its row.
struct ScatterAddRowsOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "scatterAddRows",
    inputs: [
      InputDocumentation(0, "base", "[R, n]"), InputDocumentation(1, "indices", "I32 [m], in 0..<R", types: [.i32]),
      InputDocumentation(2, "updates", "[m, n]"),
    ],
    attributes: [], output: "base plus every update at its row; repeated indices add up; [R, n]")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0, 2] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let indices = try session.indices(1, of: call)
    let output = try backend.scatterAddRows(
      base: try session.input(0, of: call), indices, updates: try session.input(2, of: call))
    try session.emit("output.0", output)
    guard let cotangent else { return }
    let gradient = try session.upload(cotangent)
    if gradients.contains(0) { try session.emit("gradient.0", gradient) }
    if gradients.contains(2) { try session.emit("gradient.2", try backend.gatherRows(gradient, indices)) }
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let indices = call.inputs[1]?.integers ?? []
    let n = call.shape(0).columns
    let values = trackedScatterAdd(onto: call.doubles(0), indices, call.doubles(2), n)
    var results = ["output.0": Expectation(call.shape(0), values)]
    guard let cotangent else { return results }
    if gradients.contains(0) { results["gradient.0"] = Expectation(call.shape(0), exact: cotangent) }
    if gradients.contains(2) {
      let rows = indices.flatMap { index in cotangent[Int(index) * n..<(Int(index) + 1) * n] }
      results["gradient.2"] = Expectation(call.shape(2), exact: rows)
    }
    return results
  }
}

private func trackedScatterAdd(onto base: [Double], _ indices: [Int32], _ updates: [Double], _ n: Int) -> [Tracked] {
  var sums = base.map { value in
    var sum = TrackedSum()
    sum.add(value)
    return sum
  }
  var touched = [Bool](repeating: false, count: base.count)
  for (row, index) in indices.enumerated() {
    for j in 0..<n {
      sums[Int(index) * n + j].add(updates[row * n + j])
      touched[Int(index) * n + j] = true
    }
  }
  return sums.indices.map { touched[$0] ? sums[$0].total() : Tracked(base[$0]) }
}

/// Rows written to their places, in a copy of the destination.
struct ScatterRowsOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "scatterRows",
    inputs: [
      InputDocumentation(0, "destination", "[R, n]"),
      InputDocumentation(1, "indices", "I32 [m], no row twice", types: [.i32]),
      InputDocumentation(2, "source", "[m, n]"),
    ],
    attributes: [], output: "the destination with row indices[i] replaced by row i of the source; [R, n]")

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let destination = try session.input(0, of: call, isMutable: true)
    try session.backend.scatterRows(
      try session.input(2, of: call), try session.indices(1, of: call), to: destination)
    try session.emit("output.0", destination)
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    var values = call.doubles(0)
    let source = call.doubles(2)
    let n = call.shape(0).columns
    for (row, index) in (call.inputs[1]?.integers ?? []).enumerated() {
      for j in 0..<n { values[Int(index) * n + j] = source[row * n + j] }
    }
    return ["output.0": Expectation(call.shape(0), exact: values)]
  }
}

/// Matrices on top of one another, or side by side.
struct ConcatOperation: ConformanceOperation {
  enum Axis { case rows, columns }

  let documentation: OperationDocumentation
  private let axis: Axis

  init(_ axis: Axis) {
    self.axis = axis
    let isRows = axis == .rows
    documentation = OperationDocumentation(
      name: isRows ? "concatRows" : "concatColumns",
      inputs: [InputDocumentation(0, "parts", isRows ? "input 0, 1, ...: [r_i, n]" : "input 0, 1, ...: [r, n_i]")],
      attributes: [], output: isRows ? "[sum r_i, n]" : "[r, sum n_i]")
  }

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { Set(call.inputs.keys) }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let parts = try call.inputs.keys.sorted().map { try session.input($0, of: call) }
    try session.emit("output.0", axis == .rows ? try backend.concatRows(parts) : try backend.concatColumns(parts))
    guard let cotangent else { return }
    let gradient = try session.upload(cotangent)
    var start = 0
    for (index, part) in zip(call.inputs.keys.sorted(), parts) {
      let end = start + (axis == .rows ? part.shape[0] : part.columnCount)
      if gradients.contains(index) {
        let slice =
          axis == .rows ? try gradient.rows(start..<end) : try backend.columns(start..<end, of: gradient)
        try session.emit("gradient.\(index)", slice)
      }
      start = end
    }
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let keys = call.inputs.keys.sorted()
    let rows = axis == .rows ? keys.reduce(0) { $0 + call.shape($1)[0] } : call.shape(0)[0]
    let columns = axis == .rows ? call.shape(0).columns : keys.reduce(0) { $0 + call.shape($1).columns }
    var values = [Double](repeating: .nan, count: rows * columns)
    var results: [String: Expectation] = [:]
    var start = 0
    for key in keys {
      let (part, shape) = (call.doubles(key), call.shape(key))
      var gradient = part
      for i in 0..<shape[0] {
        for j in 0..<shape.columns {
          let place = axis == .rows ? (start + i) * columns + j : i * columns + start + j
          values[place] = part[i * shape.columns + j]
          if let cotangent { gradient[i * shape.columns + j] = cotangent[place] }
        }
      }
      if cotangent != nil, gradients.contains(key) { results["gradient.\(key)"] = Expectation(shape, exact: gradient) }
      start += axis == .rows ? shape[0] : shape.columns
    }
    results["output.0"] = Expectation([rows, columns], exact: values)
    return results
  }
}

/// Consecutive rows, or columns, of a matrix.
struct SliceOperation: ConformanceOperation {
  let documentation: OperationDocumentation
  private let axis: ConcatOperation.Axis

  init(_ axis: ConcatOperation.Axis) {
    self.axis = axis
    documentation = OperationDocumentation(
      name: axis == .rows ? "sliceRows" : "sliceColumns", inputs: [InputDocumentation(0, "X", "[R, n]")],
      attributes: [
        AttributeDocumentation("start", nil, "the first"), AttributeDocumentation("end", nil, "behind the last"),
      ], output: axis == .rows ? "[end - start, n]" : "[R, end - start]")
  }

  private func range(_ call: OperationCall) throws -> Range<Int> {
    let (start, end) = (try call.attributes.int("start"), try call.attributes.int("end"))
    guard start <= end else { throw ConformanceError.invalidCall("start \(start) lies behind end \(end)") }
    return start..<end
  }

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let range = try range(call)
    let x = try session.input(0, of: call)
    let slice = axis == .rows ? try backend.duplicate(try x.rows(range)) : try backend.columns(range, of: x)
    try session.emit("output.0", slice)
    guard let cotangent, gradients.contains(0) else { return }
    let given = try session.upload(cotangent)
    let gradient = try backend.zeros(x.shape)
    if !given.isEmpty {
      switch axis {
      case .rows: try backend.copy(given, to: try gradient.rows(range))
      case .columns:
        try backend.copyColumns(given, from: 0, to: range.lowerBound, width: range.count, of: gradient)
      }
    }
    try session.emit("gradient.0", gradient)
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let range = try range(call)
    let x = call.doubles(0)
    let shape = call.shape(0)
    var output: [Double] = []
    var gradient = [Double](repeating: 0, count: x.count)
    for i in 0..<shape[0] {
      for j in 0..<shape.columns where range.contains(axis == .rows ? i : j) {
        if let cotangent { gradient[i * shape.columns + j] = cotangent[output.count] }
        output.append(x[i * shape.columns + j])
      }
    }
    let sliced: Shape = axis == .rows ? [range.count, shape.columns] : [shape[0], range.count]
    var results = ["output.0": Expectation(sliced, exact: output)]
    if cotangent != nil, gradients.contains(0) { results["gradient.0"] = Expectation(shape, exact: gradient) }
    return results
  }
}

/// The sum of all rows.
struct ColumnSumsOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "columnSums", inputs: [InputDocumentation(0, "X", "[R, n]")], attributes: [], output: "[n]")

  func differentiableInputs(_ call: OperationCall) -> Set<Int> { [0] }

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    let backend = session.backend
    let x = try session.input(0, of: call)
    try session.emit("output.0", try backend.columnSums(x))
    guard let cotangent, gradients.contains(0) else { return }
    try session.emit("gradient.0", try backend.add(try backend.zeros(x.shape), try session.upload(cotangent)))
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let n = call.shape(0).columns
    let sums = trackedColumnSums(call.doubles(0).map { Tracked($0) }, columns: n)
    var results = ["output.0": Expectation([n], sums)]
    if let cotangent, gradients.contains(0) {
      let rows = (0..<call.shape(0).rows).flatMap { _ in cotangent }
      results["gradient.0"] = Expectation(call.shape(0), exact: rows)
    }
    return results
  }
}

/// The place of the largest value of each row.
struct ArgmaxRowsOperation: ConformanceOperation {
  let documentation = OperationDocumentation(
    name: "argmaxRows", inputs: [InputDocumentation(0, "X", "[rows, n], n at least 1")], attributes: [],
    output: "I32 [rows]; the first of equal ones; NaN counts as largest")

  func run(_ session: DeviceSession, _ call: OperationCall, cotangent: HostTensor?, gradients: Set<Int>) throws {
    try session.emit("output.0", try session.backend.argmaxRows(try session.input(0, of: call)))
  }

  func reference(_ call: OperationCall, cotangent: [Double]?, gradients: Set<Int>) throws -> [String: Expectation] {
    let x = call.doubles(0)
    let shape = call.shape(0)
    let places = (0..<shape.rows).map { row in
      var best = 0
      for j in 0..<shape.columns {
        let (value, largest) = (x[row * shape.columns + j], x[row * shape.columns + best])
        if !largest.isNaN, value.isNaN || value > largest { best = j }
      }
      return Double(best)
    }
    return ["output.0": Expectation([shape.rows], exact: places)]
  }
}
