import CPUTiles
import Compute

/// The loops that one call's blocks of queries are handed to: products of f32 values, or of pairs of bf16 values where
/// operands may be rounded and the processor multiplies such pairs.
struct AttentionTiles {
  /// Up to here a block's scores lie in rows, and nothing is rounded.
  private static let fewQueries = 4

  let tiles: CPUTiles
  let usesPairs: Bool

  init(_ tiles: CPUTiles, _ attributes: AttentionAttributes) {
    self.tiles = tiles
    usesPairs = attributes.mayRoundOperands && tiles.attentionForwardPairs != nil
  }

  /// Queries of a block of the forward pass, at most.
  var queries: Int { Int(usesPairs ? tiles.attentionPairQueries : tiles.attentionQueries) }

  /// Queries of a block of the backward pass, at most.
  var gradientQueries: Int { Int(usesPairs ? tiles.attentionPairQueries : tiles.attentionGradientQueries) }

  /// Whether the scores of a block are made in rows: most lanes of a tile would be empty.
  ///
  /// With pairs a whole segment decides, so that the backward pass makes the scores that the forward pass made.
  func takesRows(_ block: QueryBlock) -> Bool { (usesPairs ? block.segmentCount : block.count) <= Self.fewQueries }

  func forwardScratch(width: Int, valueWidth: Int) -> Int {
    let floats = usesPairs ? tiles.attentionForwardPairsScratch : tiles.attentionForwardScratch
    return Int((floats ?? tiles.attentionForwardScratch)(Int64(width), Int64(valueWidth)))
  }

  /// Floats for blocks of either kind.
  func gradientScratch(width: Int, valueWidth: Int) -> Int {
    let singles = Int(tiles.attentionGradientScratch(Int64(width), Int64(valueWidth)))
    guard usesPairs, let pairs = tiles.attentionGradientPairsScratch else { return singles }
    return max(singles, Int(pairs(Int64(width), Int64(valueWidth))))
  }

  func forward(
    _ tile: inout CPUAttentionTile, _ output: UnsafeMutablePointer<Float>, ld: Int,
    scratch: UnsafeMutablePointer<Float>
  ) {
    if usesPairs, let run = tiles.attentionForwardPairs { return run(&tile, output, Int64(ld), scratch) }
    tiles.attentionForward(&tile, output, Int64(ld), scratch)
  }

  func gradient(
    _ block: QueryBlock, _ tile: inout CPUAttentionTile, _ gradients: inout CPUAttentionGradients,
    scratch: UnsafeMutablePointer<Float>
  ) {
    if usesPairs, !takesRows(block), let run = tiles.attentionGradientPairs { return run(&tile, &gradients, scratch) }
    tiles.attentionGradient(&tile, &gradients, scratch)
  }
}
