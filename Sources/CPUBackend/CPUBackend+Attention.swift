import CPUTiles
import Compute
import Foundation

// Scores of a block of queries are computed with a query in each lane and a key in each row: softmax then needs no sums
// across lanes, and the probabilities lie as the tiles want them for the product with the values. Only the scores of
// one block exist at a time.

extension CPUBackend {
  public func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    into output: Tensor, logSumExp: Tensor
  ) throws {
    let blockWidth = Int(tiles.tileColumns)
    let blocks = QueryBlock.blocks(of: layout, window: attributes.window, width: blockWidth)
    let heads = attributes.heads
    let group = heads / attributes.keyValueHeads
    let queries = HeadMatrix(q, headWidth: q.columnCount / heads)
    let keys = HeadMatrix(k, headWidth: k.columnCount / attributes.keyValueHeads)
    let values = try headMatrix(v, heads: attributes.keyValueHeads)
    let results = HeadMatrix(output, headWidth: output.columnCount / heads)
    let sums = logSumExp.floats
    let bias = ScoreBias(attributes, layout, width: blockWidth)

    workers.run(blocks.count * heads) { task, worker in
      let (block, head) = (blocks[task / heads], task % heads)
      let depth = queries.headWidth
      let width = laneWidth(block.count)
      let keyCount = block.keyCount
      let scratch = workers.floats((depth + keyCount + 2) * width, worker: worker)
      let (packed, scores) = (scratch, scratch + depth * width)
      let maxima = scores + keyCount * width
      let totals = maxima + width
      tiles.pack(
        CPU_F32, 1, 0, Int64(block.count), Int64(depth), queries.at(row: block.firstRow, head: head),
        Int64(queries.ld), packed, Int64(width))
      rawScores(
        block, keys: keys, head: head / group, packed: packed, depth: depth, width: width, into: scores)
      tiles.fill(maxima, -.infinity, Int64(width))
      withBias(bias, head: head) { bias in
        var row = 0
        for range in block.keys {
          var score = scoreAttributes(block, range, attributes, bias: bias)
          tiles.attentionScores(scores + row * width, Int64(range.count), Int64(width), &score, maxima)
          row += range.count
        }
      }
      tiles.attentionExponentials(scores, Int64(keyCount), Int64(width), maxima, totals)
      let result = results.at(row: block.firstRow, head: head)
      var row = 0
      for range in block.keys {
        strips(
          CPU_COLUMNS, m: block.count, columns: results.headWidth, k: range.count, a: scores + row * width, lda: width,
          b: values.at(row: range.row, head: head / group), ldb: values.ld, into: result, ldc: results.ld,
          adds: row > 0)
        row += range.count
      }
      for i in 0..<block.count {
        let place = result + i * results.ld
        if row == 0 {
          tiles.fill(place, 0, Int64(results.headWidth))
        } else {
          // Where nothing is seen every weight is 0, and stays so.
          tiles.scale(place, totals[i] == 0 ? 0 : 1 / totals[i], place, Int64(results.headWidth))
        }
        let shift = maxima[i] == -.infinity ? 0 : maxima[i]
        sums[(block.firstRow + i) * heads + head] = shift + logf(totals[i])
      }
    }
  }

  /// Calls `body` with the place of the bias for equal positions, or nil.
  func withBias(_ bias: ScoreBias?, head: Int, _ body: (UnsafePointer<Float>?) -> Void) {
    if let bias { bias.withZero(head: head) { body($0) } } else { body(nil) }
  }
}
