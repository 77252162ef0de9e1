import CPUTiles
import Compute

extension CPUBackend {
  public func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    let (heads, keyValueHeads) = (attributes.heads, attributes.keyValueHeads)
    let blockWidth = Int(tiles.tileColumns)
    let pass = AttentionBackwardPass(
      backend: self, attributes: attributes,
      blocks: QueryBlock.blocks(of: layout, window: attributes.window, width: blockWidth),
      keyRows: layout.keyCount,
      q: try headMatrix(q, heads: heads), k: try headMatrix(k, heads: keyValueHeads),
      v: HeadMatrix(v, headWidth: v.columnCount / keyValueHeads),
      cotangent: try headMatrix(cotangent, heads: heads),
      output: HeadMatrix(result.output, headWidth: result.output.columnCount / heads),
      logSumExp: result.logSumExp.floats,
      dq: HeadMatrix(gradients.q, headWidth: q.columnCount / heads),
      dk: HeadMatrix(gradients.k, headWidth: k.columnCount / keyValueHeads),
      dv: HeadMatrix(gradients.v, headWidth: v.columnCount / keyValueHeads),
      bias: ScoreBias(attributes, layout, width: blockWidth),
      differences: gradients.table == nil ? nil : ScoreBias.span(layout, width: blockWidth))
    // A task owns the keys and values of a head, so gradients of shared keys add up in the order of the segments.
    var histograms = [Float](repeating: 0, count: heads * (pass.differences?.count ?? 0))
    histograms.withUnsafeMutableBufferPointer { histograms in
      let histograms = histograms.baseAddress
      workers.run(keyValueHeads) { head, worker in pass.run(head, histograms: histograms, worker: worker) }
    }
    if let table = gradients.table { gatherTable(table, histograms, pass.differences, attributes) }
  }

  /// Adds up the gradients of equal differences of positions by their buckets.
  private func gatherTable(
    _ table: Tensor, _ histograms: [Float], _ differences: Range<Int>?, _ attributes: AttentionAttributes
  ) {
    guard case .relative(_, let bidirectional, let maximumDistance) = attributes.bias else { return }
    let (output, buckets, heads) = (table.floats, table.rowCount, attributes.heads)
    var sums = [Double](repeating: 0, count: table.count)
    for (i, difference) in (differences ?? 0..<0).enumerated() {
      let bucket = RelativePosition.bucket(
        distance: -difference, bidirectional: bidirectional, buckets: buckets, maximumDistance: maximumDistance)
      for head in 0..<heads {
        sums[bucket * heads + head] += Double(histograms[head * (differences?.count ?? 0) + i])
      }
    }
    for i in sums.indices { output[i] = Float(sums[i]) }
  }
}

/// One backward pass: probabilities are computed again from the scores and their logarithm of the sum of exponentials.
///
/// With `delta = sum(cotangent output)` of a query: `dS = P (cotangent v' - delta)`, `dq = scale dS k`,
/// `dk = scale dS' q`, `dv = P' cotangent`.
private struct AttentionBackwardPass {
  let backend: CPUBackend
  let attributes: AttentionAttributes
  let blocks: [QueryBlock]
  let keyRows: Int
  let q: HeadMatrix
  let k: HeadMatrix
  let v: HeadMatrix
  let cotangent: HeadMatrix
  let output: HeadMatrix
  let logSumExp: UnsafeMutablePointer<Float>
  let dq: HeadMatrix
  let dk: HeadMatrix
  let dv: HeadMatrix
  let bias: ScoreBias?
  let differences: Range<Int>?

  /// Everything that touches one key-value head.
  func run(_ keyValueHead: Int, histograms: UnsafeMutablePointer<Float>?, worker: Int) {
    for row in 0..<keyRows {
      backend.tiles.fill(dk.at(row: row, head: keyValueHead), 0, Int64(dk.headWidth))
      backend.tiles.fill(dv.at(row: row, head: keyValueHead), 0, Int64(dv.headWidth))
    }
    let group = attributes.heads / attributes.keyValueHeads
    for head in keyValueHead * group..<(keyValueHead + 1) * group {
      let histogram: UnsafeMutablePointer<Float>? = differences.flatMap { differences in
        histograms.map { $0 + head * differences.count - differences.lowerBound }
      }
      backend.withBias(bias, head: head) { bias in
        for block in blocks {
          run(block, head: head, keyValueHead: keyValueHead, bias: bias, histogram: histogram, worker: worker)
        }
      }
    }
  }

  private func run(
    _ block: QueryBlock, head: Int, keyValueHead: Int, bias: UnsafePointer<Float>?,
    histogram: UnsafeMutablePointer<Float>?, worker: Int
  ) {
    let tiles = backend.tiles
    let (depth, valueWidth) = (dq.headWidth, dv.headWidth)
    let width = backend.laneWidth(block.count)
    let keyCount = block.keyCount
    guard keyCount > 0 else {
      for i in 0..<block.count { tiles.fill(dq.at(row: block.firstRow + i, head: head), 0, Int64(depth)) }
      return
    }
    let scratch = backend.workers.floats((depth + valueWidth + 2 * keyCount + 2) * width, worker: worker)
    let (packedQ, packedC) = (scratch, scratch + depth * width)
    let p = packedC + valueWidth * width
    let d = p + keyCount * width
    let (delta, shift) = (d + keyCount * width, d + (keyCount + 1) * width)

    let query = q.at(row: block.firstRow, head: head)
    let gradient = cotangent.at(row: block.firstRow, head: head)
    tiles.pack(CPU_F32, 1, 0, Int64(block.count), Int64(depth), query, Int64(q.ld), packedQ, Int64(width))
    tiles.pack(
      CPU_F32, 1, 0, Int64(block.count), Int64(valueWidth), gradient, Int64(cotangent.ld), packedC, Int64(width))
    for i in 0..<width {
      let row = block.firstRow + i
      // A lane without a query gets weights exp(0 - infinity) = 0.
      shift[i] = i < block.count ? logSumExp[row * attributes.heads + head] : .infinity
      delta[i] =
        i < block.count
        ? tiles.dot(gradient + i * cotangent.ld, output.at(row: row, head: head), Int64(valueWidth)) : 0
    }
    backend.rawScores(
      block, keys: k, head: keyValueHead, packed: packedQ, depth: depth, width: width, into: p)
    backend.rawScores(
      block, keys: v, head: keyValueHead, packed: packedC, depth: valueWidth, width: width, into: d)
    var first = 0
    for range in block.keys {
      let (rangeP, rangeD) = (p + first * width, d + first * width)
      var score = backend.scoreAttributes(block, range, attributes, bias: bias)
      tiles.attentionProbabilities(rangeP, Int64(range.count), Int64(width), &score, shift)
      tiles.attentionDifferences(
        rangeP, rangeD, Int64(range.count), Int64(width), delta, score.firstKey, score.firstQuery, histogram)
      backend.strips(
        CPU_ROWS, m: range.count, columns: valueWidth, k: block.count, a: rangeP, lda: width, b: gradient,
        ldb: cotangent.ld, into: dv.at(row: range.row, head: keyValueHead), ldc: dv.ld, adds: true)
      backend.strips(
        CPU_ROWS, m: range.count, columns: depth, k: block.count, a: rangeD, lda: width, b: query, ldb: q.ld,
        into: dk.at(row: range.row, head: keyValueHead), ldc: dk.ld, alpha: attributes.scale, adds: true)
      backend.strips(
        CPU_COLUMNS, m: block.count, columns: depth, k: range.count, a: rangeD, lda: width,
        b: k.at(row: range.row, head: keyValueHead), ldb: k.ld, into: dq.at(row: block.firstRow, head: head),
        ldc: dq.ld, alpha: attributes.scale, adds: first > 0)
      first += range.count
    }
  }
}
