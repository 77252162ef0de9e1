import CPUTiles
import Compute

extension CPUBackend {
  /// Key-value heads whose gradients keep the threads busy.
  private static let enoughHeads = 8

  public func attentionBackward(
    _ cotangent: Tensor, q: Tensor, k: Tensor, v: Tensor, _ result: AttentionResult, _ layout: AttentionLayout,
    _ attributes: AttentionAttributes, into gradients: AttentionGradients
  ) throws {
    let (heads, keyValueHeads) = (attributes.heads, attributes.keyValueHeads)
    let strip = Int(tiles.attentionQueries)
    let loops = AttentionTiles(tiles, attributes)
    let blocks = layout.segments.flatMap {
      QueryBlock.blocks(of: $0, window: attributes.window, width: loops.gradientQueries)
    }
    // A task owns the keys and values of a head, so that gradients of shared keys add up in a fixed order. Where there
    // are few such heads, groups of blocks make gradients of their own, which are then added up. How many must not
    // depend on the threads, or the results would.
    let groups =
      keyValueHeads >= Self.enoughHeads
      ? 1 : max(1, min(blocks.count, (2 * Self.enoughHeads + keyValueHeads - 1) / keyValueHeads))
    func partial(_ sum: Tensor) throws -> Tensor { groups == 1 ? sum : try allocate([groups, sum.count], .f32) }
    let (dk, dv) = (try partial(gradients.k), try partial(gradients.v))
    let pass = AttentionBackwardPass(
      backend: self, loops: loops, attributes: attributes, blocks: blocks, keyRows: layout.keyCount, groups: groups,
      q: HeadMatrix(q, headWidth: q.columnCount / heads), k: HeadMatrix(k, headWidth: k.columnCount / keyValueHeads),
      v: HeadMatrix(v, headWidth: v.columnCount / keyValueHeads),
      cotangent: HeadMatrix(cotangent, headWidth: cotangent.columnCount / heads),
      output: HeadMatrix(result.output, headWidth: result.output.columnCount / heads),
      logSumExp: result.logSumExp.floats, dq: HeadMatrix(gradients.q, headWidth: q.columnCount / heads),
      dk: dk.floats, dv: dv.floats, bias: ScoreBias(attributes, layout, width: strip),
      differences: gradients.table == nil ? nil : ScoreBias.span(layout, width: strip))
    var histograms = [Float](repeating: 0, count: groups * heads * (pass.differences?.count ?? 0))
    histograms.withUnsafeMutableBufferPointer { histograms in
      let histograms = histograms.baseAddress
      workers.run(keyValueHeads * groups) { task, worker in
        pass.run(task % keyValueHeads, group: task / keyValueHeads, histograms: histograms, worker: worker)
      }
    }
    if groups > 1 {
      for (partial, sum) in [(dk, gradients.k), (dv, gradients.v)] where !sum.isEmpty {
        try columnSums(partial, into: try sum.reshaped([sum.count]))
      }
    }
    if let table = gradients.table { gatherTable(table, histograms, pass.differences, attributes, groups: groups) }
  }

  /// Adds up the gradients of equal differences of positions by their buckets.
  private func gatherTable(
    _ table: Tensor, _ histograms: [Float], _ differences: Range<Int>?, _ attributes: AttentionAttributes,
    groups: Int
  ) {
    guard case .relative(_, let bidirectional, let maximumDistance) = attributes.bias else { return }
    let (output, buckets, heads) = (table.floats, table.rowCount, attributes.heads)
    var sums = [Double](repeating: 0, count: table.count)
    let count = differences?.count ?? 0
    for (i, difference) in (differences ?? 0..<0).enumerated() {
      let bucket = RelativePosition.bucket(
        distance: -difference, bidirectional: bidirectional, buckets: buckets, maximumDistance: maximumDistance)
      for group in 0..<groups {
        for head in 0..<heads {
          sums[bucket * heads + head] += Double(histograms[(group * heads + head) * count + i])
        }
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
  let loops: AttentionTiles
  let attributes: AttentionAttributes
  let blocks: [QueryBlock]
  let keyRows: Int
  let groups: Int
  let q: HeadMatrix
  let k: HeadMatrix
  let v: HeadMatrix
  let cotangent: HeadMatrix
  let output: HeadMatrix
  let logSumExp: UnsafeMutablePointer<Float>
  let dq: HeadMatrix
  /// Gradients `[groups, rows of k, columns of k]`, and the same of v.
  let dk: UnsafeMutablePointer<Float>
  let dv: UnsafeMutablePointer<Float>
  let bias: ScoreBias?
  let differences: Range<Int>?

  /// What a group's blocks, every `groups`-th, add to the gradients of one key-value head.
  ///
  /// The head's keys, values and their gradients are copied: rows as far apart as those of a matrix of all heads share
  /// few places in the caches.
  func run(_ keyValueHead: Int, group: Int, histograms: UnsafeMutablePointer<Float>?, worker: Int) {
    let (tiles, width, valueWidth) = (backend.tiles, dq.headWidth, v.headWidth)
    let (ldK, ldV) = (padded(width), padded(valueWidth))
    let tileScratch = loops.gradientScratch(width: width, valueWidth: valueWidth)
    let scratch = backend.workers.floats(tileScratch + 2 * keyRows * (ldK + ldV), worker: worker)
    let keys = scratch + tileScratch
    let values = keys + keyRows * ldK
    let keyGradient = values + keyRows * ldV
    let valueGradient = keyGradient + keyRows * ldK
    pack(k, head: keyValueHead, into: keys, ld: ldK)
    pack(v, head: keyValueHead, into: values, ld: ldV)
    tiles.fill(keyGradient, 0, Int64(keyRows * (ldK + ldV)))
    let queryHeads = attributes.heads / attributes.keyValueHeads
    for block in stride(from: group, to: blocks.count, by: groups).map({ blocks[$0] }) {
      for head in keyValueHead * queryHeads..<(keyValueHead + 1) * queryHeads {
        let histogram: UnsafeMutablePointer<Float>? = differences.flatMap { differences in
          histograms.map { $0 + (group * attributes.heads + head) * differences.count - differences.lowerBound }
        }
        backend.withTile(
          block, attributes, head: head, q: q, k: k, v: v, width: width, valueWidth: valueWidth, bias: bias,
          logSumExp: logSumExp
        ) { tile in
          (tile.k, tile.ldK, tile.v, tile.ldV) = (UnsafePointer(keys), Int64(ldK), UnsafePointer(values), Int64(ldV))
          var gradients = CPUAttentionGradients(
            cotangent: cotangent.at(row: block.firstRow, head: head),
            output: output.at(row: block.firstRow, head: head), ldOutput: Int64(output.ld),
            dq: dq.at(row: block.firstRow, head: head), ldDQ: Int64(dq.ld), dk: keyGradient, dv: valueGradient,
            histogram: histogram)
          loops.gradient(block, &tile, &gradients, scratch: scratch)
        }
      }
    }
    let (keyColumns, valueColumns) = (width * attributes.keyValueHeads, valueWidth * attributes.keyValueHeads)
    for row in 0..<keyRows {
      (dk + (group * keyRows + row) * keyColumns + keyValueHead * width)
        .update(from: keyGradient + row * ldK, count: width)
      (dv + (group * keyRows + row) * valueColumns + keyValueHead * valueWidth)
        .update(from: valueGradient + row * ldV, count: valueWidth)
    }
  }

  private func padded(_ width: Int) -> Int {
    let lanes = Int(backend.tiles.lanes)
    return (width + lanes - 1) / lanes * lanes
  }

  /// The rows of one head, with zeros behind their columns.
  private func pack(_ matrix: HeadMatrix, head: Int, into output: UnsafeMutablePointer<Float>, ld: Int) {
    backend.tiles.pack(
      CPU_F32, 0, 0, Int64(matrix.headWidth), Int64(keyRows), matrix.at(row: 0, head: head), Int64(matrix.ld), output,
      Int64(ld))
  }
}
