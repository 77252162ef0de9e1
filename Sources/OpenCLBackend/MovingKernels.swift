import Compute

extension OpenCLBackend {
  private static let file = "rows.cl"

  public func gatherRows(_ table: Tensor, _ indices: Indices, into output: Tensor) throws {
    let kernel =
      switch table.dtype {
      case .bf16: "gather_bf16"
      case .f16: "gather_f16"
      case .f32, .i32: "gather_f32"
      }
    try runRows(
      Self.file, kernel, rows: indices.count,
      [.tensor(table), .tensor(indices.tensor), .tensor(output), .size(indices.count), .int(table.columnCount)])
  }

  /// Updates of one row are added by one work-group in their order: no atomics, the same bits every time.
  public func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws {
    let order = indices.values.indices.sorted {
      (indices.values[$0], $0) < (indices.values[$1], $1)
    }
    var targets: [Int32] = []
    var starts: [Int32] = []
    for (place, update) in order.enumerated() where targets.last != indices.values[update] {
      targets.append(indices.values[update])
      starts.append(Int32(place))
    }
    starts.append(Int32(order.count))
    try runRows(
      Self.file, "scatter_add", rows: targets.count,
      [
        .tensor(updates), .tensor(try upload(targets)), .tensor(try upload(starts)),
        .tensor(try upload(order.map(Int32.init))), .tensor(accumulator), .size(targets.count),
        .int(updates.columnCount),
      ])
  }

  public func scatterRows(_ source: Tensor, _ indices: Indices, into destination: Tensor) throws {
    try runRows(
      Self.file, "scatter", rows: indices.count,
      [
        .tensor(source), .tensor(indices.tensor), .tensor(destination), .size(indices.count),
        .int(source.columnCount),
      ])
  }

  public func copyColumns(_ source: Tensor, from: Int, to: Int, width: Int, of destination: Tensor) throws {
    guard width > 0 else { return }
    try runRows(
      Self.file, "copy_columns", rows: source.rowCount,
      [
        .tensor(source), .tensor(destination), .size(source.rowCount), .int(width), .size(source.columnCount),
        .size(destination.columnCount), .size(from), .size(to),
      ])
  }

  public func argmaxRows(_ x: Tensor, into output: Tensor) throws {
    try runRows(
      Self.file, "argmax", rows: x.rowCount,
      [.tensor(x), .tensor(output), .size(x.rowCount), .int(x.columnCount)])
  }

  public func rotary(_ x: Tensor, _ positions: Indices, _ attributes: RotaryAttributes, into output: Tensor) throws {
    let half = attributes.inverseFrequencies.count
    try runRows(
      Self.file, "rotary", rows: x.rowCount,
      [
        .tensor(x), .tensor(positions.tensor), .tensor(attributes.inverseFrequencies), .tensor(output),
        .size(x.rowCount), .int(attributes.heads), .int(x.columnCount / attributes.heads), .int(half),
        .int(attributes.interleaved ? 2 : 1), .int(attributes.interleaved ? 1 : half),
        .float(attributes.magnitude), .float(attributes.inverse ? -1 : 1),
      ])
  }
}
