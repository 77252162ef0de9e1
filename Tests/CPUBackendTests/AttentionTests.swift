import Compute
import Foundation
import Testing

@testable import CPUBackend

@Suite struct AttentionTests {
  struct Case {
    var segments: [AttentionSegment]
    var queries: Int
    var keys: Int
    var heads = 2
    var keyValueHeads = 2
    var width = 16
    var valueWidth = 16
    var window: Int?
    var bias = "none"
    var bidirectional = true
  }

  static let cases: [Case] = [
    Case(segments: [.init(queries: 0..<1, own: 0..<1, causal: true)], queries: 1, keys: 1),
    Case(
      segments: [.init(queries: 0..<70, own: 0..<70, causal: true)], queries: 70, keys: 70, width: 20, valueWidth: 7),
    Case(segments: [.init(queries: 0..<17, own: 0..<33, causal: false)], queries: 17, keys: 33, width: 5),
    Case(
      segments: [
        .init(queries: 0..<5, own: 0..<5, causal: true),
        .init(queries: 5..<17, shared: [0..<5, 30..<34], own: 5..<17, causal: true),
        .init(queries: 17..<20, shared: [0..<5], own: 17..<30, causal: true),
      ], queries: 20, keys: 35, heads: 6, keyValueHeads: 2, valueWidth: 32),
    Case(
      segments: [.init(queries: 0..<60, shared: [60..<64], own: 0..<60, causal: true)], queries: 60, keys: 64,
      window: 9),
    Case(
      segments: [.init(queries: 0..<20, shared: [20..<23], own: 0..<20, causal: false)], queries: 20, keys: 23,
      window: 4, bias: "alibi"),
    Case(  // more queries than keys: the first see nothing of their own
      segments: [.init(queries: 0..<9, own: 0..<4, causal: true)], queries: 9, keys: 6, bias: "alibi"),
    Case(
      segments: [
        .init(queries: 0..<52, own: 0..<52, causal: false), .init(queries: 52..<60, own: 10..<30, causal: false),
      ], queries: 60, keys: 52, bias: "relative"),
    Case(
      segments: [.init(queries: 0..<30, shared: [30..<40], own: 0..<30, causal: true)], queries: 30, keys: 40,
      heads: 4, keyValueHeads: 1, bias: "relative", bidirectional: false),
    Case(
      segments: [
        .init(queries: 0..<3, own: 0..<0, causal: true),
        .init(queries: 3..<6, shared: [0..<2], own: 2..<2, causal: true),
      ], queries: 6, keys: 3),
  ]

  /// Attention and its gradients by the definition, in Double.
  struct Definition {
    var output: [Double]
    var logSumExp: [Double]
    var dq: [Double]
    var dk: [Double]
    var dv: [Double]
    var table: [Double]

    init(_ c: Case, q: [Float], k: [Float], v: [Float], cotangent: [Float], bias: [Float], scale: Double) {
      output = .init(repeating: 0, count: cotangent.count)
      logSumExp = .init(repeating: -.infinity, count: c.queries * c.heads)
      dq = .init(repeating: 0, count: q.count)
      dk = .init(repeating: 0, count: k.count)
      dv = .init(repeating: 0, count: v.count)
      table = .init(repeating: 0, count: bias.count)
      let group = c.heads / c.keyValueHeads
      for segment in c.segments {
        let keys = (segment.shared + [segment.own]).flatMap { Array($0) }
        let shared = segment.sharedCount
        for (i, row) in segment.queries.enumerated() {
          let position = segment.firstQueryPosition + i
          for head in 0..<c.heads {
            let seen = keys.indices.filter { j in
              (j < shared || !segment.causal || j <= position) && (c.window.map { j > position - $0 } ?? true)
            }
            guard !seen.isEmpty else { continue }
            let (fromQ, fromO) = ((row * c.heads + head) * c.width, (row * c.heads + head) * c.valueWidth)
            let kv = head / group
            func fromK(_ j: Int) -> Int { (keys[j] * c.keyValueHeads + kv) * c.width }
            func fromV(_ j: Int) -> Int { (keys[j] * c.keyValueHeads + kv) * c.valueWidth }
            func bucket(_ j: Int) -> Int {
              RelativePosition.bucket(
                distance: j - position, bidirectional: c.bidirectional, buckets: 8, maximumDistance: 20)
            }
            let scores = seen.map { j -> Double in
              var sum = 0.0
              for d in 0..<c.width { sum += Double(q[fromQ + d]) * Double(k[fromK(j) + d]) }
              sum *= scale
              if c.bias == "alibi" { sum += Double(bias[head]) * Double(j - position) }
              if c.bias == "relative" { sum += Double(bias[bucket(j) * c.heads + head]) }
              return sum
            }
            let p = Reference.softmax(scores)
            logSumExp[row * c.heads + head] = log(scores.reduce(0) { $0 + exp($1) })
            var inner = 0.0
            var dp: [Double] = []
            for (n, j) in seen.enumerated() {
              var sum = 0.0
              for d in 0..<c.valueWidth {
                output[fromO + d] += p[n] * Double(v[fromV(j) + d])
                dv[fromV(j) + d] += p[n] * Double(cotangent[fromO + d])
                sum += Double(cotangent[fromO + d]) * Double(v[fromV(j) + d])
              }
              dp.append(sum)
              inner += p[n] * sum
            }
            for (n, j) in seen.enumerated() {
              let ds = p[n] * (dp[n] - inner)
              if c.bias == "relative" { table[bucket(j) * c.heads + head] += ds }
              for d in 0..<c.width {
                dq[fromQ + d] += scale * ds * Double(k[fromK(j) + d])
                dk[fromK(j) + d] += scale * ds * Double(q[fromQ + d])
              }
            }
          }
        }
      }
    }
  }

  @Test(arguments: Variant.oneThread) func againstDefinition(_ variant: Variant) throws {
    let (one, many) = (try variant.backend(), try variant.backend(threads: 5))
    for (index, c) in Self.cases.enumerated() {
      var numbers = Numbers(UInt64(index))
      let (heads, kv) = (c.heads, c.keyValueHeads)
      let q = numbers.normal(c.queries * heads * c.width), k = numbers.normal(c.keys * kv * c.width)
      let v = numbers.normal(c.keys * kv * c.valueWidth), cotangent = numbers.normal(c.queries * heads * c.valueWidth)
      let bias = c.bias == "alibi" ? numbers.positive(heads) : c.bias == "relative" ? numbers.normal(8 * heads) : []
      func run(_ backend: CPUBackend) throws -> [[Float]] {
        let layout = try AttentionLayout(segments: c.segments, queryCount: c.queries, keyCount: c.keys)
        var attributes = AttentionAttributes(heads: heads, keyValueHeads: kv, scale: 0.3, window: c.window)
        if c.bias == "alibi" { attributes.bias = .alibi(slopes: try backend.tensor(bias, [heads])) }
        if c.bias == "relative" {
          attributes.bias = .relative(
            table: try backend.tensor(bias, [8, heads]), bidirectional: c.bidirectional, maximumDistance: 20)
        }
        let qt = try backend.tensor(q, [c.queries, heads * c.width])
        let kt = try backend.tensor(k, [c.keys, kv * c.width])
        let vt = try backend.tensor(v, [c.keys, kv * c.valueWidth])
        let result = try backend.attention(q: qt, k: kt, v: vt, layout, attributes)
        let gradients = try backend.attentionBackward(
          try backend.tensor(cotangent, result.output.shape), q: qt, k: kt, v: vt, result, layout, attributes,
          wantsTable: true)
        return try [result.output, result.logSumExp, gradients.q, gradients.k, gradients.v].map(backend.values)
          + [gradients.table.map(backend.values) ?? []]
      }
      let expected = Definition(c, q: q, k: k, v: v, cotangent: cotangent, bias: bias, scale: Double(Float(0.3)))
      let got = try run(one)
      expectClose(got[0], expected.output, absolute: 2e-6, "case \(index), output")
      expectClose(got[1], expected.logSumExp, absolute: 4e-6, "case \(index), logSumExp")
      expectClose(got[2], expected.dq, absolute: 1e-5, "case \(index), q")
      expectClose(got[3], expected.dk, absolute: 2e-5, "case \(index), k")
      expectClose(got[4], expected.dv, absolute: 2e-5, "case \(index), v")
      expectClose(got[5], c.bias == "relative" ? expected.table : [], absolute: 4e-5, "case \(index), table")
      #expect(try run(many).map { $0.map(\.bitPattern) } == got.map { $0.map(\.bitPattern) }, "case \(index), threads")
    }
  }

  /// Sequences behind a prompt have the bits that each has alone, whatever the number of threads.
  @Test(arguments: Variant.oneThread, [false, true]) func neighboursChangeNothing(_ variant: Variant, rounds: Bool)
    throws
  {
    let (one, many) = (try variant.backend(), try variant.backend(threads: 5))
    let (prompt, lengths, heads, width) = (21, [37, 3, 70, 1, 66], 2, 24)
    let (rows, columns) = (lengths.reduce(0, +), heads * width)
    var numbers = Numbers(7)
    let q = numbers.normal(rows * columns), cotangent = numbers.normal(rows * columns)
    let k = numbers.normal((prompt + rows) * columns), v = numbers.normal((prompt + rows) * columns)
    let attributes = AttentionAttributes(heads: heads, scale: 0.2, mayRoundOperands: rounds)
    /// Output, logarithms of sums and gradient of q, then the other gradients.
    func run(_ backend: CPUBackend, _ lengths: [Int], from first: Int) throws -> [[Float]] {
      let count = lengths.reduce(0, +)
      var start = 0
      let segments = lengths.map { length in
        defer { start += length }
        return AttentionSegment(
          queries: start..<start + length, shared: [0..<prompt], own: prompt + start..<prompt + start + length,
          causal: true)
      }
      func queryRows(_ x: [Float]) throws -> Tensor {
        try backend.tensor(Array(x[first * columns..<(first + count) * columns]), [count, columns])
      }
      func keyRows(_ x: [Float]) throws -> Tensor {
        let own = x[(prompt + first) * columns..<(prompt + first + count) * columns]
        return try backend.tensor(Array(x[..<(prompt * columns)]) + own, [prompt + count, columns])
      }
      let layout = try AttentionLayout(segments: segments, queryCount: count, keyCount: prompt + count)
      let (qt, kt, vt) = (try queryRows(q), try keyRows(k), try keyRows(v))
      let result = try backend.attention(q: qt, k: kt, v: vt, layout, attributes)
      let gradients = try backend.attentionBackward(
        try queryRows(cotangent), q: qt, k: kt, v: vt, result, layout, attributes, wantsTable: false)
      return try [result.output, result.logSumExp, gradients.q, gradients.k, gradients.v].map(backend.values)
    }
    let batch = try run(one, lengths, from: 0)
    #expect(try run(many, lengths, from: 0).map { $0.map(\.bitPattern) } == batch.map { $0.map(\.bitPattern) })
    var first = 0
    for length in lengths {
      let alone = try run(one, [length], from: first)
      for (index, n) in [columns, heads, columns].enumerated() {
        let part = batch[index][first * n..<(first + length) * n]
        #expect(part.map(\.bitPattern) == alone[index].map(\.bitPattern), "\(length) queries, result \(index)")
      }
      first += length
    }
  }
}
