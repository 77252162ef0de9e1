import CPUTiles
import Compute

/// Queries of one segment that are handled together, and the keys that any of them sees.
struct QueryBlock {
  var firstRow: Int
  var count: Int
  var position: Int
  var keys: [CPUKeyRange]
  /// Queries of the whole segment.
  var segmentCount: Int

  var keyCount: Int { keys.reduce(0) { $0 + Int($1.count) } }

  /// All blocks of a segment, at most `width` queries each.
  static func blocks(of segment: AttentionSegment, window: Int?, width: Int) -> [QueryBlock] {
    stride(from: 0, to: segment.queries.count, by: width).map { start in
      let count = min(width, segment.queries.count - start)
      let position = segment.firstQueryPosition + start
      return QueryBlock(
        firstRow: segment.queries.lowerBound + start, count: count, position: position,
        keys: visibleKeys(segment, positions: position..<position + count, window: window),
        segmentCount: segment.queries.count)
    }
  }

  /// The keys of a segment without those that no query at these positions sees.
  private static func visibleKeys(_ segment: AttentionSegment, positions: Range<Int>, window: Int?) -> [CPUKeyRange] {
    var keys: [CPUKeyRange] = []
    var position = 0
    func append(_ range: Range<Int>, causal: Bool) {
      let first = max(0, (window.map { positions.lowerBound - $0 + 1 } ?? 0) - position)
      let last = causal ? min(range.count, positions.upperBound - position) : range.count
      if first < last {
        keys.append(
          CPUKeyRange(
            row: Int64(range.lowerBound + first), count: Int64(last - first), position: Int64(position + first),
            causal: causal ? 1 : 0))
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

  /// - Parameter width: entries behind the last query's that are read and not used.
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

  /// A block of queries of one head as the tiles take it; it is `body`'s alone.
  func withTile(
    _ block: QueryBlock, _ attributes: AttentionAttributes, head: Int, q: HeadMatrix, k: HeadMatrix, v: HeadMatrix,
    width: Int, valueWidth: Int, bias: ScoreBias?, logSumExp: UnsafeMutablePointer<Float>,
    _ body: (inout CPUAttentionTile) -> Void
  ) {
    let keyValueHead = head / (attributes.heads / attributes.keyValueHeads)
    withBias(bias, head: head) { bias in
      block.keys.withUnsafeBufferPointer { ranges in
        // An empty array may have no address.
        var none = CPUKeyRange()
        withUnsafePointer(to: &none) { none in
          var tile = CPUAttentionTile(
            q: q.at(row: block.firstRow, head: head), ldQ: Int64(q.ld), queries: Int64(block.count),
            firstQuery: Int64(block.position), k: k.at(row: 0, head: keyValueHead), ldK: Int64(k.ld),
            v: v.at(row: 0, head: keyValueHead), ldV: Int64(v.ld), width: Int64(width), valueWidth: Int64(valueWidth),
            scale: attributes.scale, window: Int64(attributes.window ?? -1), bias: bias,
            ranges: ranges.baseAddress ?? none, rangeCount: Int64(ranges.count),
            logSumExp: logSumExp + block.firstRow * attributes.heads + head, ldLogSumExp: Int64(attributes.heads))
          body(&tile)
        }
      }
    }
  }

  /// Calls `body` with the place of the bias for equal positions, or nil.
  func withBias(_ bias: ScoreBias?, head: Int, _ body: (UnsafePointer<Float>?) -> Void) {
    if let bias { bias.withZero(head: head) { body($0) } } else { body(nil) }
  }
}
