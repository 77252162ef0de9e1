import CPUTiles
import Compute

/// Consecutive rows of k and v, and the position of the first.
struct KeyRange {
  var row: Int
  var count: Int
  var position: Int
  /// Keys behind the query's position are hidden.
  var causal: Bool
}

/// Queries of one segment that are handled together, one in each lane, and the keys that any of them sees.
struct QueryBlock {
  var firstRow: Int
  var count: Int
  var position: Int
  var keys: [KeyRange]

  var keyCount: Int { keys.reduce(0) { $0 + $1.count } }

  /// All blocks of a layout, at most `width` queries each.
  static func blocks(of layout: AttentionLayout, window: Int?, width: Int) -> [QueryBlock] {
    layout.segments.flatMap { segment in
      stride(from: 0, to: segment.queries.count, by: width).map { start in
        let count = min(width, segment.queries.count - start)
        let position = segment.firstQueryPosition + start
        return QueryBlock(
          firstRow: segment.queries.lowerBound + start, count: count, position: position,
          keys: visibleKeys(segment, positions: position..<position + count, window: window))
      }
    }
  }

  /// The keys of a segment without those that no query at these positions sees.
  private static func visibleKeys(_ segment: AttentionSegment, positions: Range<Int>, window: Int?) -> [KeyRange] {
    var keys: [KeyRange] = []
    var position = 0
    func append(_ range: Range<Int>, causal: Bool) {
      let first = max(0, (window.map { positions.lowerBound - $0 + 1 } ?? 0) - position)
      let last = causal ? min(range.count, positions.upperBound - position) : range.count
      if first < last {
        keys.append(
          KeyRange(row: range.lowerBound + first, count: last - first, position: position + first, causal: causal))
      }
      position += range.count
    }
    for range in segment.shared { append(range, causal: false) }
    append(segment.own, causal: segment.causal)
    return keys
  }
}

/// Heads side by side in the rows of a matrix, each as wide as the tiles need to read it in place.
struct HeadMatrix {
  let pointer: UnsafeMutablePointer<Float>
  let ld: Int
  /// Columns from one head to the next.
  let headWidth: Int
  /// Keeps a padded copy alive.
  private let owner: Tensor

  init(_ tensor: Tensor, headWidth: Int) {
    owner = tensor
    pointer = tensor.floats
    ld = tensor.columnCount
    self.headWidth = headWidth
  }

  func at(row: Int, head: Int) -> UnsafeMutablePointer<Float> { pointer + row * ld + head * headWidth }
}

/// What is added to scores, by head and by `query position - key position`.
struct ScoreBias {
  private let values: [Float]
  private let count: Int
  /// The difference that the first entry of each head belongs to.
  let first: Int

  /// - Parameter width: lanes behind the last query that are read and not used.
  init?(_ attributes: AttentionAttributes, _ layout: AttentionLayout, width: Int) {
    guard let span = Self.span(layout, width: width) else { return nil }
    (first, count) = (span.lowerBound, span.count)
    let heads = attributes.heads
    switch attributes.bias {
    case .none: return nil
    case .alibi(let slopes):
      let slopes = slopes.floats
      values = (0..<heads).flatMap { head in span.map { slopes[head] * Float(-$0) } }
    case .relative(let table, let bidirectional, let maximumDistance):
      let (table, buckets) = (table.floats, table.rowCount)
      let rows = span.map {
        RelativePosition.bucket(
          distance: -$0, bidirectional: bidirectional, buckets: buckets, maximumDistance: maximumDistance)
      }
      values = (0..<heads).flatMap { head in rows.map { table[$0 * heads + head] } }
    }
  }

  /// The differences between positions of queries and keys that occur, with `width` more at the end.
  static func span(_ layout: AttentionLayout, width: Int) -> Range<Int>? {
    var span: Range<Int>?
    for segment in layout.segments where !segment.queries.isEmpty {
      let keys = segment.sharedCount + segment.own.count
      guard keys > 0 else { continue }
      let first = segment.firstQueryPosition - (keys - 1)
      let last = segment.firstQueryPosition + segment.queries.count + width
      span = min(span?.lowerBound ?? first, first)..<max(span?.upperBound ?? last, last)
    }
    return span
  }

  /// Calls `body` with the place of the entry for equal positions.
  func withZero<R>(head: Int, _ body: (UnsafePointer<Float>) -> R) -> R {
    values.withUnsafeBufferPointer { values in
      guard let base = values.baseAddress else { preconditionFailure("a bias without entries") }
      return body(base + head * count - first)
    }
  }
}

extension CPUBackend {
  /// The heads of a matrix, copied with zeros between them if their width does not suit the tiles.
  func headMatrix(_ tensor: Tensor, heads: Int) throws -> HeadMatrix {
    let width = tensor.columnCount / heads
    let lanes = Int(tiles.lanes)
    guard width % lanes != 0 else { return HeadMatrix(tensor, headWidth: width) }
    let padded = (width + lanes - 1) / lanes * lanes
    let copy = try zeros([tensor.rowCount, heads * padded])
    for head in 0..<heads {
      try copyColumns(tensor, from: head * width, to: head * padded, width: width, of: copy)
    }
    return HeadMatrix(copy, headWidth: padded)
  }

  /// A product with keys or values in rows: `[m, columns]`, a strip as wide as a register tile at a time.
  func strips(
    _ order: CPUOrder, m: Int, columns: Int, k: Int, a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>,
    ldb: Int, into c: UnsafeMutablePointer<Float>, ldc: Int, alpha: Float = 1, adds: Bool
  ) {
    let width = Int(tiles.tileColumns)
    for first in stride(from: 0, to: columns, by: width) {
      var epilogue = CPUEpilogue(
        c: c + first, ldc: Int64(ldc), alpha: alpha, beta: 1, addend: adds ? UnsafePointer(c + first) : nil,
        ldAddend: Int64(ldc), bias: nil)
      tiles.strip(
        order, CPU_F32, Int64(m), Int64(min(width, columns - first)), Int64(k), a, Int64(lda), b + first, Int64(ldb),
        &epilogue)
    }
  }

  /// The raw scores of a block, `[keys][width]`: products of all its keys with its packed queries `[width of head]`.
  func rawScores(
    _ block: QueryBlock, keys: HeadMatrix, head: Int, packed: UnsafePointer<Float>, depth: Int, width: Int,
    into scores: UnsafeMutablePointer<Float>
  ) {
    var row = 0
    for range in block.keys {
      strips(
        CPU_ROWS, m: range.count, columns: width, k: depth, a: keys.at(row: range.row, head: head), lda: keys.ld,
        b: packed, ldb: width, into: scores + row * width, ldc: width, adds: false)
      row += range.count
    }
  }

  func scoreAttributes(
    _ block: QueryBlock, _ range: KeyRange, _ attributes: AttentionAttributes, bias: UnsafePointer<Float>?
  ) -> CPUScores {
    CPUScores(
      scale: attributes.scale, firstKey: Int64(range.position), firstQuery: Int64(block.position),
      causal: range.causal ? 1 : 0, window: Int64(attributes.window ?? -1), bias: bias)
  }

  /// How many lanes a block of that many queries takes.
  func laneWidth(_ queries: Int) -> Int {
    let lanes = Int(tiles.lanes)
    return (queries + lanes - 1) / lanes * lanes
  }
}
