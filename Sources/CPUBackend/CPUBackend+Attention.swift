import CPUTiles
import Compute
import Foundation

// Scores of a block of queries are computed with a query in each lane and a key in each row: softmax then needs no sums
// across lanes, and the probabilities lie as the tiles want them for the product with the values. Only the scores of
// one block exist at a time. A few queries, as in decoding, would leave most lanes empty: their scores lie in rows.

extension CPUBackend {
  public func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    into output: Tensor, logSumExp: Tensor
  ) throws {
    let blockWidth = Int(tiles.tileColumns)
    let blocks = QueryBlock.blocks(of: layout, window: attributes.window, width: blockWidth)
    let (heads, keyValueHeads) = (attributes.heads, attributes.keyValueHeads)
    let pass = AttentionForwardPass(
      backend: self, attributes: attributes, q: HeadMatrix(q, headWidth: q.columnCount / heads),
      k: HeadMatrix(k, headWidth: k.columnCount / keyValueHeads), v: try headMatrix(v, heads: keyValueHeads),
      output: HeadMatrix(output, headWidth: output.columnCount / heads), logSumExp: logSumExp.floats)
    let bias = ScoreBias(attributes, layout, width: blockWidth)
    workers.run(blocks.count * heads) { task, worker in
      let (block, head) = (blocks[task / heads], task % heads)
      withBias(bias, head: head) { bias in
        if block.count <= AttentionForwardPass.fewQueries {
          pass.runInRows(block, head: head, bias: bias, worker: worker)
        } else {
          pass.runInLanes(block, head: head, bias: bias, worker: worker)
        }
      }
    }
  }

  /// Calls `body` with the place of the bias for equal positions, or nil.
  func withBias(_ bias: ScoreBias?, head: Int, _ body: (UnsafePointer<Float>?) -> Void) {
    if let bias { bias.withZero(head: head) { body($0) } } else { body(nil) }
  }
}

/// One forward pass, a head of a block of queries at a time.
private struct AttentionForwardPass {
  /// Up to here a block's scores lie in rows.
  static let fewQueries = 4

  let backend: CPUBackend
  let attributes: AttentionAttributes
  let q: HeadMatrix
  let k: HeadMatrix
  let v: HeadMatrix
  let output: HeadMatrix
  let logSumExp: UnsafeMutablePointer<Float>

  private func keyValueHead(_ head: Int) -> Int { head / (attributes.heads / attributes.keyValueHeads) }

  /// Scores `[keys][queries]`.
  func runInLanes(_ block: QueryBlock, head: Int, bias: UnsafePointer<Float>?, worker: Int) {
    let (tiles, depth, keyCount) = (backend.tiles, q.headWidth, block.keyCount)
    let width = backend.laneWidth(block.count)
    let scratch = backend.workers.floats((depth + keyCount + 2) * width, worker: worker)
    let (packed, scores) = (scratch, scratch + depth * width)
    let maxima = scores + keyCount * width
    let totals = maxima + width
    tiles.pack(
      CPU_F32, 1, 0, Int64(block.count), Int64(depth), q.at(row: block.firstRow, head: head), Int64(q.ld), packed,
      Int64(width))
    backend.rawScores(
      block, keys: k, head: keyValueHead(head), packed: packed, depth: depth, width: width, into: scores)
    tiles.fill(maxima, -.infinity, Int64(width))
    var row = 0
    for range in block.keys {
      var score = backend.scoreAttributes(block, range, attributes, bias: bias)
      tiles.attentionScores(scores + row * width, Int64(range.count), Int64(width), &score, maxima)
      row += range.count
    }
    tiles.attentionExponentials(scores, Int64(keyCount), Int64(width), maxima, totals)
    mix(block, head: head, CPU_COLUMNS, weights: scores, keyStride: width, ld: width)
    for i in 0..<block.count {
      // Where nothing is seen every weight is 0, and stays so.
      let place = output.at(row: block.firstRow + i, head: head)
      tiles.scale(place, totals[i] == 0 ? 0 : 1 / totals[i], place, Int64(output.headWidth))
      let shift = maxima[i] == -.infinity ? 0 : maxima[i]
      logSumExp[(block.firstRow + i) * attributes.heads + head] = shift + logf(totals[i])
    }
  }

  /// Scores `[queries][keys]`.
  func runInRows(_ block: QueryBlock, head: Int, bias: UnsafePointer<Float>?, worker: Int) {
    let (tiles, keyCount) = (backend.tiles, block.keyCount)
    let scores = backend.workers.floats(block.count * keyCount, worker: worker)
    var first = 0
    for range in block.keys {
      var epilogue = CPUEpilogue(
        c: scores + first, ldc: Int64(keyCount), alpha: attributes.scale, beta: 0, addend: nil, ldAddend: 0, bias: nil)
      tiles.dots(
        CPU_F32, Int64(block.count), Int64(range.count), Int64(q.headWidth), q.at(row: block.firstRow, head: head),
        Int64(q.ld), k.at(row: range.row, head: keyValueHead(head)), Int64(k.ld), &epilogue)
      for i in 0..<block.count {
        hideAndBias(scores + i * keyCount + first, range, query: block.position + i, bias: bias)
      }
      first += range.count
    }
    for i in 0..<block.count {
      let row = scores + i * keyCount
      let sum = tiles.logSumExp(row, Int64(keyCount))
      logSumExp[(block.firstRow + i) * attributes.heads + head] = sum
      if sum == -.infinity {
        tiles.fill(row, 0, Int64(keyCount))
      } else {
        tiles.scaledExp(row, sum, 1, row, Int64(keyCount))
      }
    }
    mix(block, head: head, CPU_ROWS, weights: scores, keyStride: 1, ld: keyCount)
  }

  /// Scores of one query with a range of keys: the bias is added, keys that it does not see get -infinity.
  private func hideAndBias(
    _ scores: UnsafeMutablePointer<Float>, _ range: KeyRange, query: Int, bias: UnsafePointer<Float>?
  ) {
    if let bias {
      for j in 0..<range.count { scores[j] += bias[query - range.position - j] }
    }
    let end = range.causal ? max(0, min(range.count, query - range.position + 1)) : range.count
    let start = attributes.window.map { max(0, min(range.count, query - $0 + 1 - range.position)) } ?? 0
    backend.tiles.fill(scores, -.infinity, Int64(start))
    backend.tiles.fill(scores + end, -.infinity, Int64(range.count - end))
  }

  /// The output of a block: its weights times the values.
  private func mix(
    _ block: QueryBlock, head: Int, _ order: CPUOrder, weights: UnsafePointer<Float>, keyStride: Int, ld: Int
  ) {
    var first = 0
    for range in block.keys {
      backend.strips(
        order, m: block.count, columns: output.headWidth, k: range.count, a: weights + first * keyStride, lda: ld,
        b: v.at(row: range.row, head: keyValueHead(head)), ldb: v.ld,
        into: output.at(row: block.firstRow, head: head), ldc: output.ld, adds: first > 0)
      first += range.count
    }
    guard first == 0 else { return }
    for i in 0..<block.count {
      backend.tiles.fill(output.at(row: block.firstRow + i, head: head), 0, Int64(output.headWidth))
    }
  }
}
