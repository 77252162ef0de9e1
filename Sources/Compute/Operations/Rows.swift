/// Moving rows and columns of matrices.
public protocol RowKernels: AnyObject {
  /// `output[i] = table[indices[i]]`.
  ///
  /// The table is `[R, n]` in `f32`, `bf16` or `f16`; the output `[m, n]` in `f32`.
  func gatherRows(_ table: Tensor, _ indices: Indices, into output: Tensor) throws

  /// `accumulator[indices[i]] += updates[i]`, in place; repeated indices add up, in the order of i.
  func scatterAddRows(_ updates: Tensor, _ indices: Indices, onto accumulator: Tensor) throws

  /// `destination[indices[i]] = source[i]`, in place; no index occurs twice.
  func scatterRows(_ source: Tensor, _ indices: Indices, into destination: Tensor) throws

  /// Copies columns `from ..< from + width` of `source` `[rows, n]` to columns `to ..< to + width` of `destination`
  /// `[rows, n']`.
  func copyColumns(_ source: Tensor, from: Int, to: Int, width: Int, of destination: Tensor) throws

  /// `output[j] = sum over r of x[r, j]`.
  func columnSums(_ x: Tensor, into output: Tensor) throws

  /// The place of the largest value of each row, the first one if there are several; NaN counts as largest.
  ///
  /// `output` is `i32`, `[rows]`.
  func argmaxRows(_ x: Tensor, into output: Tensor) throws
}

extension ComputeBackend {
  /// Rows of a table: `[m, n]`.
  ///
  /// - Parameter table: `[R, n]`; f32, bf16 or f16.
  /// - Throws: `ComputeError.indexOutOfRange` for an index outside `0..<R`.
  public func gatherRows(_ table: Tensor, _ indices: Indices) throws -> Tensor {
    guard table.shape.rank == 2 else {
      throw ComputeError.invalidArgument(operation: "gatherRows", "the table has shape \(table.shape), not [R, n]")
    }
    guard table.dtype.isFloatingPoint else {
      throw ComputeError.unsupportedDType(operation: "gatherRows", argument: "the table", table.dtype)
    }
    try indices.check(within: table.shape[0], operation: "gatherRows")
    let output = try allocate([indices.count, table.columnCount], .f32)
    if !output.isEmpty { try gatherRows(table, indices, into: output) }
    return output
  }

  /// `base` plus every update at its row: `[R, n]`.
  ///
  /// Repeated indices add up.
  public func scatterAddRows(base: Tensor, _ indices: Indices, updates: Tensor) throws -> Tensor {
    let output = try duplicate(base)
    try scatterAddRows(indices, updates: updates, onto: output)
    return output
  }

  /// Adds every update `[m, n]` to its row of `accumulator` `[R, n]`, in place.
  public func scatterAddRows(_ indices: Indices, updates: Tensor, onto accumulator: Tensor) throws {
    try requireRows(indices, updates, accumulator, "scatterAddRows")
    if !updates.isEmpty { try scatterAddRows(updates, indices, onto: accumulator) }
  }

  /// Writes every row of `source` `[m, n]` to its row of `destination` `[R, n]`, in place.
  ///
  /// - Throws: `ComputeError.invalidArgument` if an index occurs twice.
  public func scatterRows(_ source: Tensor, _ indices: Indices, to destination: Tensor) throws {
    try requireRows(indices, source, destination, "scatterRows")
    guard Set(indices.values).count == indices.count else {
      throw ComputeError.invalidArgument(operation: "scatterRows", "a row is written twice")
    }
    if !source.isEmpty { try scatterRows(source, indices, into: destination) }
  }

  /// Matrices `[r_i, n]` on top of one another: `[sum r_i, n]`.
  public func concatRows(_ parts: [Tensor]) throws -> Tensor {
    guard let first = parts.first, first.shape.rank == 2 else {
      throw ComputeError.invalidArgument(operation: "concatRows", "at least one matrix is needed")
    }
    for part in parts {
      guard part.shape.rank == 2, part.columnCount == first.columnCount else {
        throw ComputeError.shapeMismatch(operation: "concatRows", first.shape, part.shape)
      }
      try require(part, first.dtype, "concatRows", "a part")
    }
    let output = try allocate([parts.reduce(0) { $0 + $1.shape[0] }, first.columnCount], first.dtype)
    var row = 0
    for part in parts where !part.isEmpty {
      try copy(part, to: try output.rows(row..<row + part.shape[0]))
      row += part.shape[0]
    }
    return output
  }

  /// A copy of columns `range` of a matrix `[rows, n]`: `[rows, range.count]`.
  public func columns(_ range: Range<Int>, of x: Tensor) throws -> Tensor {
    try require(x, .f32, "columns", "X")
    guard x.shape.rank == 2, range.lowerBound >= 0, range.upperBound <= x.columnCount else {
      throw ComputeError.invalidArgument(
        operation: "columns", "columns \(range.lowerBound)..<\(range.upperBound) of a tensor \(x.shape)")
    }
    let output = try allocate([x.rowCount, range.count], .f32)
    if !output.isEmpty { try copyColumns(x, from: range.lowerBound, to: 0, width: range.count, of: output) }
    return output
  }

  /// Matrices `[rows, n_i]` side by side: `[rows, sum n_i]`.
  public func concatColumns(_ parts: [Tensor]) throws -> Tensor {
    guard let first = parts.first else {
      throw ComputeError.invalidArgument(operation: "concatColumns", "at least one matrix is needed")
    }
    for part in parts {
      try require(part, .f32, "concatColumns", "a part")
      guard part.shape.rank == 2, part.rowCount == first.rowCount else {
        throw ComputeError.shapeMismatch(operation: "concatColumns", first.shape, part.shape)
      }
    }
    let output = try allocate([first.rowCount, parts.reduce(0) { $0 + $1.columnCount }], .f32)
    var column = 0
    for part in parts where !part.isEmpty {
      try copyColumns(part, from: 0, to: column, width: part.columnCount, of: output)
      column += part.columnCount
    }
    return output
  }

  /// The sum of all rows of `x` `[R, n]`: `[n]`.
  public func columnSums(_ x: Tensor) throws -> Tensor {
    try require(x, .f32, "columnSums", "X")
    if x.isEmpty { return try zeros([x.columnCount]) }
    let output = try allocate([x.columnCount], .f32)
    try columnSums(x, into: output)
    return output
  }

  /// The place of the largest value of each row of `x` `[rows, n]`, n at least 1: `[rows]`, i32.
  public func argmaxRows(_ x: Tensor) throws -> Tensor {
    try require(x, .f32, "argmaxRows", "X")
    guard x.columnCount > 0 else {
      throw ComputeError.invalidArgument(operation: "argmaxRows", "rows without elements have no largest one")
    }
    let output = try allocate([x.rowCount], .i32)
    if !output.isEmpty { try argmaxRows(x, into: output) }
    return output
  }

  private func requireRows(_ indices: Indices, _ rows: Tensor, _ table: Tensor, _ operation: String) throws {
    try require(rows, .f32, operation, "the rows")
    try require(table, .f32, operation, "the table")
    guard table.shape.rank == 2, rows.shape == [indices.count, table.columnCount] else {
      throw ComputeError.shapeMismatch(operation: operation, table.shape, rows.shape)
    }
    try indices.check(within: table.shape[0], operation: operation)
  }
}
