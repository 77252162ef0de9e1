import Compute

/// An attention layout as visibility.cl describes it, on one device.
///
/// Made once per layout.
final class LayoutTables {
  /// Queries, and keys, of a tile.
  static let tile = 16
  /// Queries of a tile of attention_gradient in attention_cpu.cl.
  static let gradientTile = 32
  /// Queries of a tile of attention_pairs.cl.
  static let pairTile = 64

  let segments: Tensor
  let ranges: Tensor
  let tiles: Tensor
  let tileCount: Int
  let gradientTiles: Tensor
  let gradientTileCount: Int
  let pairTiles: Tensor
  let pairTileCount: Int
  let keyTiles: Tensor
  let keyTileCount: Int
  let visitors: Tensor

  private struct Visitor {
    var segment: Int32
    /// Position of the first key of the whole range.
    var position: Int32
    var own: Int32
    var rows: Range<Int>
  }

  init(_ layout: AttentionLayout, _ backend: OpenCLBackend) throws {
    var segments: [Int32] = []
    var ranges: [Int32] = []
    var visits: [Visitor] = []
    for (number, segment) in layout.segments.enumerated() {
      let firstRange = ranges.count / 4
      var position = 0
      for (rows, own) in segment.shared.map({ ($0, Int32(0)) }) + [(segment.own, Int32(1))] where !rows.isEmpty {
        ranges += [Int32(rows.lowerBound), Int32(rows.count), Int32(position), own]
        if !segment.queries.isEmpty {
          visits.append(Visitor(segment: Int32(number), position: Int32(position), own: own, rows: rows))
        }
        position += rows.count
      }
      segments += [
        Int32(segment.queries.lowerBound), Int32(segment.queries.count), Int32(segment.firstQueryPosition),
        Int32(firstRange), Int32(ranges.count / 4 - firstRange), segment.causal ? 1 : 0,
      ]
    }
    let tiles = Self.tiles(layout, of: Self.tile)
    let gradientTiles = Self.tiles(layout, of: Self.gradientTile)
    let pairTiles = Self.tiles(layout, of: Self.pairTile)
    let (keyTiles, visitors) = Self.keyTiles(visits, keyCount: layout.keyCount)
    self.segments = try backend.upload(segments)
    self.ranges = try backend.upload(ranges)
    self.tiles = try backend.upload(tiles)
    self.gradientTiles = try backend.upload(gradientTiles)
    self.pairTiles = try backend.upload(pairTiles)
    self.keyTiles = try backend.upload(keyTiles)
    self.visitors = try backend.upload(visitors)
    tileCount = tiles.count / 3
    gradientTileCount = gradientTiles.count / 3
    pairTileCount = pairTiles.count / 3
    keyTileCount = keyTiles.count / 4
  }

  /// Cuts the queries of each segment into tiles.
  private static func tiles(_ layout: AttentionLayout, of size: Int) -> [Int32] {
    layout.segments.enumerated().flatMap { number, segment in
      stride(from: 0, to: segment.queries.count, by: size).flatMap { first in
        [Int32(number), Int32(first), Int32(min(size, segment.queries.count - first))]
      }
    }
  }

  /// Cuts the key rows where any range begins or ends, so that all rows of a piece are seen by the same segments.
  private static func keyTiles(_ visits: [Visitor], keyCount: Int) -> ([Int32], [Int32]) {
    let cuts = Set(visits.flatMap { [$0.rows.lowerBound, $0.rows.upperBound] } + [0, keyCount]).sorted()
    var starting: [Int: [Int]] = [:]
    for (number, visit) in visits.enumerated() { starting[visit.rows.lowerBound, default: []].append(number) }
    var active: [Int] = []
    var keyTiles: [Int32] = []
    var visitors: [Int32] = []
    for (from, to) in zip(cuts, cuts.dropFirst()) {
      active.removeAll { visits[$0].rows.upperBound <= from }
      active += starting[from] ?? []
      active.sort()
      for first in stride(from: from, to: to, by: tile) {
        let firstVisitor = visitors.count / 3
        for number in active {
          let visit = visits[number]
          visitors += [visit.segment, visit.position + Int32(first - visit.rows.lowerBound), visit.own]
        }
        keyTiles += [Int32(first), Int32(min(tile, to - first)), Int32(firstVisitor), Int32(active.count)]
      }
    }
    return (keyTiles, visitors)
  }
}

/// Which table of buckets a relative bias needs.
struct RelativeBuckets: Hashable {
  var buckets: Int
  var bidirectional: Bool
  var maximumDistance: Int

  /// Beyond this distance, either way, the bucket does not change any more.
  var reach: Int { max(maximumDistance, buckets) + 1 }

  /// The buckets of distances from -reach to reach.
  var table: [Int32] {
    (-reach...reach).map {
      Int32(
        RelativePosition.bucket(
          distance: $0, bidirectional: bidirectional, buckets: buckets, maximumDistance: maximumDistance))
    }
  }
}
