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
    var (end, rows): (Int, Range<Int>?) = (0, nil)
    // Where the rows of each part that count lie among those of the result.
    let places = parts.map { part in
      defer { end += part.shape[0] }
      let own = part.gradientRows ?? 0..<part.shape[0]
      return own.lowerBound + end..<own.upperBound + end
    }
    if savings.contains(.gradientRows) {
      for (part, place) in zip(parts, places) where part.requiresGradient { rows = Self.joined(rows, place) }
    }
    let (backend, first) = (backend, rows?.lowerBound ?? 0)
    return try record("concatRows", output, inputs: parts, rows: rows) { cotangent, wanted in
      try zip(places, wanted).map { place, wanted in
        wanted
          ? try backend.duplicate(try cotangent.rows(place.lowerBound - first..<place.upperBound - first)) : nil
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
    let rows = x.gradientRows
    let (backend, shape) = (backend, Shape([rows?.count ?? x.shape[0], x.shape.columns]))
    let starts = widths.indices.map { widths[..<$0].reduce(0, +) }
    let parts = try zip(starts, widths).map { try backend.columns($0..<$0 + $1, of: x.value) }
    return try record("splitColumns", outputs: parts, inputs: [x], rows: rows) { cotangents, _ in
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
