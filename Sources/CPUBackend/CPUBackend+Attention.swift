import CPUTiles
import Compute
import Foundation

// Queries of a head are taken a tile at a time, all of whose work is done by one call into CPUTiles. A few queries, as in
// decoding, would leave most lanes of a tile empty: their scores are made here, in rows.

extension CPUBackend {
  public func attention(
    q: Tensor, k: Tensor, v: Tensor, _ layout: AttentionLayout, _ attributes: AttentionAttributes,
    into output: Tensor, logSumExp: Tensor
  ) throws {
    let loops = AttentionTiles(tiles, attributes)
    let blockWidth = loops.queries
    let blocksOfTask = AttentionForwardPass.queriesOfTask / blockWidth
    // Blocks of one segment see the same keys, which stay in the caches of the core that takes them all.
    let runs: [ArraySlice<QueryBlock>] =
      layout.segments.flatMap { segment in
        let blocks = QueryBlock.blocks(of: segment, window: attributes.window, width: blockWidth)
        return stride(from: 0, to: blocks.count, by: blocksOfTask).map {
          blocks[$0..<min($0 + blocksOfTask, blocks.count)]
        }
      }
    let (heads, keyValueHeads) = (attributes.heads, attributes.keyValueHeads)
    let pass = AttentionForwardPass(
      backend: self, attributes: attributes, q: HeadMatrix(q, headWidth: q.columnCount / heads),
      k: HeadMatrix(k, headWidth: k.columnCount / keyValueHeads), v: try headMatrix(v, heads: keyValueHeads),
      output: HeadMatrix(output, headWidth: output.columnCount / heads), logSumExp: logSumExp.floats,
      bias: ScoreBias(attributes, layout, width: blockWidth))
    workers.run(runs.count * heads) { task, worker in
      let head = task % heads
      for block in runs[task / heads] {
        if loops.takesRows(block) {
          withBias(pass.bias, head: head) { pass.runInRows(block, head: head, bias: $0, worker: worker) }
        } else {
          pass.runInLanes(block, head: head, loops, worker: worker)
        }
      }
    }
  }
}

/// One forward pass, a head of a block of queries at a time.
private struct AttentionForwardPass {
  /// Rows of keys, and of values, that are asked for at once, at most: they fit the second-level cache.
  static let fetchedRows: Int64 = 512
  /// Queries of a segment that one task takes, at most: a multiple of those of a block.
  static let queriesOfTask = 64

  let backend: CPUBackend
  let attributes: AttentionAttributes
  let q: HeadMatrix
  let k: HeadMatrix
  let v: HeadMatrix
  let output: HeadMatrix
  let logSumExp: UnsafeMutablePointer<Float>
  let bias: ScoreBias?

  private func keyValueHead(_ head: Int) -> Int { head / (attributes.heads / attributes.keyValueHeads) }

  /// A tile, a query in each lane.
  func runInLanes(_ block: QueryBlock, head: Int, _ loops: AttentionTiles, worker: Int) {
    let (width, valueWidth) = (q.headWidth, output.headWidth)
    let scratch = backend.workers.floats(
      loops.forwardScratch(width: width, valueWidth: valueWidth), worker: worker)
    backend.withTile(
      block, attributes, head: head, q: q, k: k, v: v, width: width, valueWidth: valueWidth, bias: bias,
      logSumExp: logSumExp
    ) { tile in
      loops.forward(&tile, output.at(row: block.firstRow, head: head), ld: output.ld, scratch: scratch)
    }
  }

  /// Scores `[queries][keys]`.
  func runInRows(_ block: QueryBlock, head: Int, bias: UnsafePointer<Float>?, worker: Int) {
    let (tiles, keyCount) = (backend.tiles, block.keyCount)
    let scores = backend.workers.floats(block.count * keyCount, worker: worker)
    // A head's part of a row is short and the next row far away: the processor does not see them coming.
    for range in block.keys {
      for (matrix, width) in [(k, q.headWidth), (v, output.headWidth)] {
        tiles.fetch(
          matrix.at(row: Int(range.row), head: keyValueHead(head)), min(range.count, Self.fetchedRows), Int64(width),
          Int64(matrix.ld))
      }
    }
    var first = 0
    for range in block.keys {
      var epilogue = CPUEpilogue(
        c: scores + first, ldc: Int64(keyCount), alpha: attributes.scale, beta: 0, addend: nil, ldAddend: 0, bias: nil,
        bypasses: 0)
      tiles.dots(
        CPU_F32, Int64(block.count), range.count, Int64(q.headWidth), q.at(row: block.firstRow, head: head),
        Int64(q.ld), k.at(row: Int(range.row), head: keyValueHead(head)), Int64(k.ld), &epilogue)
      for i in 0..<block.count {
        hideAndBias(scores + i * keyCount + first, range, query: block.position + i, bias: bias)
      }
      first += Int(range.count)
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
    mix(block, head: head, weights: scores, ld: keyCount)
  }

  /// Scores of one query with a range of keys: the bias is added, keys that it does not see get -infinity.
  private func hideAndBias(
    _ scores: UnsafeMutablePointer<Float>, _ range: CPUKeyRange, query: Int, bias: UnsafePointer<Float>?
  ) {
    let (count, position) = (Int(range.count), Int(range.position))
    if let bias {
      for j in 0..<count { scores[j] += bias[query - position - j] }
    }
    let end = range.causal != 0 ? max(0, min(count, query - position + 1)) : count
    let start = attributes.window.map { max(0, min(count, query - $0 + 1 - position)) } ?? 0
    backend.tiles.fill(scores, -.infinity, Int64(start))
    backend.tiles.fill(scores + end, -.infinity, Int64(count - end))
  }

  /// The output of a block: its weights `[queries][ld]` times the values, a strip of columns at a time.
  private func mix(_ block: QueryBlock, head: Int, weights: UnsafePointer<Float>, ld: Int) {
    let (tiles, valueWidth) = (backend.tiles, output.headWidth)
    let to = output.at(row: block.firstRow, head: head)
    let stripWidth = Int(tiles.tileColumns)
    var first = 0
    for range in block.keys {
      let values = v.at(row: Int(range.row), head: keyValueHead(head))
      for column in stride(from: 0, to: valueWidth, by: stripWidth) {
        var epilogue = CPUEpilogue(
          c: to + column, ldc: Int64(output.ld), alpha: 1, beta: 1,
          addend: first > 0 ? UnsafePointer(to + column) : nil, ldAddend: Int64(output.ld), bias: nil,
          bypasses: 0)
        tiles.strip(
          CPU_F32, Int64(block.count), Int64(min(stripWidth, valueWidth - column)), range.count,
          weights + first, Int64(ld), values + column, Int64(v.ld), 0, nil, &epilogue)
      }
      first += Int(range.count)
    }
    guard first == 0 else { return }
    for i in 0..<block.count { tiles.fill(to + i * output.ld, 0, Int64(valueWidth)) }
  }
}
