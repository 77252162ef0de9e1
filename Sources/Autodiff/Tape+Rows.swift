import Compute

extension Tape {
  /// Rows of a table `[R, n]`: `[m, n]`.
  public func gatherRows(_ table: Variable, _ indices: Indices) throws -> Variable {
    let (backend, shape) = (backend, table.shape)
    return try record("gatherRows", try backend.gatherRows(table.value, indices), inputs: [table]) { cotangent, _ in
      let gradient = try backend.zeros(shape)
      try backend.scatterAddRows(indices, updates: cotangent, onto: gradient)
      return [gradient]
    }
  }

  /// The same elements under another shape.
  public func reshape(_ x: Variable, _ shape: Shape) throws -> Variable {
    let original = x.shape
    if shape == original { return x }
    return try record("reshape", try x.value.reshaped(shape), inputs: [x]) { cotangent, _ in
      [try cotangent.reshaped(original)]
    }
  }

  /// Matrices on top of one another.
  public func concatRows(_ parts: [Variable]) throws -> Variable {
    if parts.count == 1 { return parts[0] }
    let output = try backend.concatRows(parts.map(\.value))
    let counts = parts.map { $0.shape[0] }
    let backend = backend
    return try record("concatRows", output, inputs: parts) { cotangent, wanted in
      var row = 0
      return try zip(counts, wanted).map { count, wanted in
        defer { row += count }
        return wanted ? try backend.duplicate(try cotangent.rows(row..<row + count)) : nil
      }
    }
  }

  /// Consecutive rows of a matrix `[R, n]`.
  public func sliceRows(_ x: Variable, _ range: Range<Int>) throws -> Variable {
    if range == 0..<x.shape[0] { return x }
    let (backend, shape) = (backend, x.shape)
    return try record("sliceRows", try x.value.rows(range), inputs: [x]) { cotangent, _ in
      let gradient = try backend.zeros(shape)
      if !cotangent.isEmpty { try backend.copy(cotangent, to: try gradient.rows(range)) }
      return [gradient]
    }
  }

  /// Chosen rows of a matrix `[R, n]`, none of them twice: `[m, n]`.
  public func selectRows(_ x: Variable, _ indices: Indices) throws -> Variable {
    let (backend, shape) = (backend, x.shape)
    return try record("selectRows", try backend.gatherRows(x.value, indices), inputs: [x]) { cotangent, _ in
      let gradient = try backend.zeros(shape)
      try backend.scatterRows(cotangent, indices, to: gradient)
      return [gradient]
    }
  }

  /// Matrices side by side, `[rows, n_i]` each: `[rows, sum of n_i]`.
  public func concatColumns(_ parts: [Variable]) throws -> Variable {
    if parts.count == 1 { return parts[0] }
    let backend = backend
    let widths = parts.map { $0.shape.columns }
    return try record("concatColumns", try backend.concatColumns(parts.map(\.value)), inputs: parts) {
      cotangent, wanted in
      var column = 0
      return try zip(widths, wanted).map { width, wanted in
        defer { column += width }
        return wanted ? try backend.columns(column..<column + width, of: cotangent) : nil
      }
    }
  }

  /// A matrix `[rows, sum of widths]` cut into matrices of these widths.
  public func splitColumns(_ x: Variable, widths: [Int]) throws -> [Variable] {
    guard x.shape.rank == 2, widths.reduce(0, +) == x.shape.columns else {
      throw ComputeError.invalidArgument(
        operation: "splitColumns", "widths \(widths) do not make up the columns of \(x.shape)")
    }
    let (backend, shape) = (backend, x.shape)
    let starts = widths.indices.map { widths[..<$0].reduce(0, +) }
    let parts = try zip(starts, widths).map { try backend.columns($0..<$0 + $1, of: x.value) }
    return try record("splitColumns", outputs: parts, inputs: [x]) { cotangents, _ in
      let gradient =
        cotangents.contains { $0 == nil } ? try backend.zeros(shape) : try backend.allocate(shape, .f32)
      for ((start, width), cotangent) in zip(zip(starts, widths), cotangents) {
        guard let cotangent, !cotangent.isEmpty else { continue }
        try backend.copyColumns(cotangent, from: 0, to: start, width: width, of: gradient)
      }
      return [gradient]
    }
  }
}
