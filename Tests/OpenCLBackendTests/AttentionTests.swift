import Compute
import Foundation
import Testing

@testable import OpenCLBackend

extension OnDevice {
  @Suite struct Attention {
    struct Problem {
      var name: String
      var segments: [AttentionSegment]
      var queries: Int, keys: Int
      var heads = 2, keyHeads = 2
      var width = 8, valueWidth = 8
      var window: Int?
      var bias = "none"
      var bidirectional = true
    }

    static let problems: [Problem] = [
      Problem(
        name: "one causal", segments: [AttentionSegment(queries: 0..<37, own: 0..<37, causal: true)], queries: 37,
        keys: 37, width: 64, valueWidth: 64),
      Problem(
        name: "shared prompt, grouped",
        segments: [
          AttentionSegment(queries: 0..<5, own: 0..<5, causal: true),
          AttentionSegment(queries: 5..<25, shared: [0..<5], own: 5..<25, causal: true),
          AttentionSegment(queries: 25..<26, shared: [0..<5, 2..<4], own: 25..<26, causal: true),
          AttentionSegment(queries: 26..<60, shared: [0..<5], own: 26..<60, causal: false),
        ], queries: 60, keys: 61, heads: 4, keyHeads: 2, width: 16, valueWidth: 24),
      Problem(
        name: "history, window, alibi",
        segments: [
          AttentionSegment(queries: 0..<3, shared: [30..<40], own: 0..<20, causal: true),
          AttentionSegment(queries: 3..<20, own: 20..<50, causal: true),
        ], queries: 20, keys: 50, heads: 3, keyHeads: 3, width: 7, valueWidth: 5, window: 9, bias: "alibi"),
      Problem(
        name: "relative, both ways",
        segments: [
          AttentionSegment(queries: 0..<33, own: 0..<33, causal: false),
          AttentionSegment(queries: 33..<50, own: 33..<50, causal: false),
        ], queries: 50, keys: 50, width: 16, valueWidth: 16, bias: "relative"),
      Problem(
        name: "relative, causal, queries before all keys",
        segments: [AttentionSegment(queries: 0..<30, own: 0..<18, causal: true)], queries: 30, keys: 18,
        bias: "relative", bidirectional: false),
      Problem(
        name: "nothing to see",
        segments: [
          AttentionSegment(queries: 0..<2, own: 0..<0, causal: false),
          AttentionSegment(queries: 2..<4, own: 0..<3, causal: false),
        ], queries: 4, keys: 3),
    ]

    @Test(arguments: Devices.backends)
    func agreesWithDouble(_ device: TestBackend) throws {
      for (number, problem) in Self.problems.enumerated() {
        try check(device.backend, problem, seed: UInt64(number))
      }
    }

    /// A sequence behind a prompt has the bits that it has alone, also where operands may be rounded.
    @Test(arguments: Devices.backends)
    func neighboursChangeNothing(_ device: TestBackend) throws {
      let backend = device.backend
      let (prompt, lengths, heads, width) = (5, [19, 2, 70], 2, 20)
      let columns = heads * width
      var random = Random(9)
      let q = random.floats(91 * columns), k = random.floats(96 * columns), v = random.floats(96 * columns)
      func run(_ lengths: [Int], from first: Int, rounds: Bool) throws -> [Float] {
        let count = lengths.reduce(0, +)
        var start = 0
        let segments = lengths.map { length in
          defer { start += length }
          return AttentionSegment(
            queries: start..<start + length, shared: [0..<prompt], own: prompt + start..<prompt + start + length,
            causal: true)
        }
        func keyRows(_ x: [Float]) throws -> Tensor {
          let own = x[(prompt + first) * columns..<(prompt + first + count) * columns]
          return try backend.tensor(Array(x[..<(prompt * columns)]) + own, [prompt + count, columns])
        }
        let layout = try AttentionLayout(segments: segments, queryCount: count, keyCount: prompt + count)
        let result = try backend.attention(
          q: try backend.tensor(Array(q[first * columns..<(first + count) * columns]), [count, columns]),
          k: try keyRows(k), v: try keyRows(v), layout,
          AttentionAttributes(heads: heads, scale: 0.2, mayRoundOperands: rounds))
        return try backend.values(result.output)
      }
      for rounds in [false, true] {
        let batch = try run(lengths, from: 0, rounds: rounds)
        var first = 0
        for length in lengths {
          let alone = try run([length], from: first, rounds: rounds)
          let part = batch[first * columns..<(first + length) * columns]
          #expect(part.map(\.bitPattern) == alone.map(\.bitPattern), "\(length) queries, rounds \(rounds)")
          first += length
        }
      }
    }

    private func check(_ backend: OpenCLBackend, _ problem: Problem, seed: UInt64) throws {
      var random = Random(seed)
      let (heads, keyHeads) = (problem.heads, problem.keyHeads)
      let q = random.floats(problem.queries * heads * problem.width)
      let k = random.floats(problem.keys * keyHeads * problem.width)
      let v = random.floats(problem.keys * keyHeads * problem.valueWidth)
      let c = random.floats(problem.queries * heads * problem.valueWidth)
      let bias = random.floats(problem.bias == "relative" ? 8 * heads : heads, scale: 0.3)
      var attributes = AttentionAttributes(
        heads: heads, keyValueHeads: keyHeads, scale: 0.4, window: problem.window)
      if problem.bias == "alibi" { attributes.bias = .alibi(slopes: try backend.tensor(bias, [heads])) }
      if problem.bias == "relative" {
        attributes.bias = .relative(
          table: try backend.tensor(bias, [8, heads]), bidirectional: problem.bidirectional, maximumDistance: 20)
      }
      let layout = try AttentionLayout(
        segments: problem.segments, queryCount: problem.queries, keyCount: problem.keys)
      let tq = try backend.tensor(q, [problem.queries, heads * problem.width])
      let tk = try backend.tensor(k, [problem.keys, keyHeads * problem.width])
      let tv = try backend.tensor(v, [problem.keys, keyHeads * problem.valueWidth])
      let tc = try backend.tensor(c, [problem.queries, heads * problem.valueWidth])
      let result = try backend.attention(q: tq, k: tk, v: tv, layout, attributes)
      let gradients = try backend.attentionBackward(
        tc, q: tq, k: tk, v: tv, result, layout, attributes, wantsTable: true)
      let reference = AttentionReference(problem, q: q, k: k, v: v, c: c, bias: bias)
      expectClose(try backend.values(result.output), reference.output, absolute: 4e-6, "\(problem.name): output")
      expectClose(try backend.values(result.logSumExp), reference.logSums, absolute: 4e-6, "\(problem.name): sums")
      expectClose(try backend.values(gradients.q), reference.q, absolute: 2e-5, "\(problem.name): q")
      expectClose(try backend.values(gradients.k), reference.k, absolute: 2e-5, "\(problem.name): k")
      expectClose(try backend.values(gradients.v), reference.v, absolute: 2e-5, "\(problem.name): v")
      if let table = gradients.table {
        expectClose(try backend.values(table), reference.table, absolute: 4e-5, "\(problem.name): table")
      }
      let again = try backend.attentionBackward(
        tc, q: tq, k: tk, v: tv, result, layout, attributes, wantsTable: true)
      let (first, second) = (try backend.values(gradients.k), try backend.values(again.k))
      #expect(first == second, "the same bits")
    }
  }
}

/// Attention and its gradients, query by query, in Double.
struct AttentionReference {
  var output: [Double], logSums: [Double], q: [Double], k: [Double], v: [Double]
  var table = [Double](repeating: 0, count: 0)

  init(_ problem: OnDevice.Attention.Problem, q: [Float], k: [Float], v: [Float], c: [Float], bias: [Float]) {
    let (heads, keyHeads) = (problem.heads, problem.keyHeads)
    let (width, valueWidth) = (problem.width, problem.valueWidth)
    output = [Double](repeating: 0, count: c.count)
    logSums = [Double](repeating: -.infinity, count: problem.queries * heads)
    self.q = [Double](repeating: 0, count: q.count)
    self.k = [Double](repeating: 0, count: k.count)
    self.v = [Double](repeating: 0, count: v.count)
    table = [Double](repeating: 0, count: bias.count)
    for segment in problem.segments {
      var keys: [(row: Int, own: Bool)] = segment.shared.flatMap { $0 }.map { ($0, false) }
      keys += segment.own.map { ($0, true) }
      for (index, row) in segment.queries.enumerated() {
        let position = segment.firstQueryPosition + index
        let seen = keys.indices.filter {
          $0 > position - (problem.window ?? 1 << 40) && !(keys[$0].own && segment.causal && $0 > position)
        }
        for head in 0..<heads where !seen.isEmpty {
          let keyHead = head / (heads / keyHeads)
          let qAt = (row * heads + head) * width, cAt = (row * heads + head) * valueWidth
          func bucket(_ key: Int) -> Int {
            RelativePosition.bucket(
              distance: key - position, bidirectional: problem.bidirectional, buckets: 8, maximumDistance: 20)
          }
          let scores = seen.map { key -> Double in
            let kAt = (keys[key].row * keyHeads + keyHead) * width
            var score = (0..<width).reduce(0.0) { $0 + Double(q[qAt + $1]) * Double(k[kAt + $1]) } * 0.4
            if problem.bias == "alibi" { score += Double(bias[head]) * Double(key - position) }
            if problem.bias == "relative" { score += Double(bias[bucket(key) * heads + head]) }
            return score
          }
          let top = scores.max() ?? 0
          let logSum = top + log(scores.reduce(0) { $0 + exp($1 - top) })
          logSums[row * heads + head] = logSum
          for (key, score) in zip(seen, scores) {
            let vAt = (keys[key].row * keyHeads + keyHead) * valueWidth
            for d in 0..<valueWidth { output[cAt + d] += exp(score - logSum) * Double(v[vAt + d]) }
          }
          let inner = (0..<valueWidth).reduce(0.0) { $0 + Double(c[cAt + $1]) * output[cAt + $1] }
          for (key, score) in zip(seen, scores) {
            let p = exp(score - logSum)
            let kAt = (keys[key].row * keyHeads + keyHead) * width
            let vAt = (keys[key].row * keyHeads + keyHead) * valueWidth
            let dot = (0..<valueWidth).reduce(0.0) { $0 + Double(c[cAt + $1]) * Double(v[vAt + $1]) }
            let change = p * (dot - inner)
            for d in 0..<width {
              self.q[qAt + d] += 0.4 * change * Double(k[kAt + d])
              self.k[kAt + d] += 0.4 * change * Double(q[qAt + d])
            }
            for d in 0..<valueWidth { self.v[vAt + d] += p * Double(c[cAt + d]) }
            if problem.bias == "relative" { table[bucket(key) * heads + head] += change }
          }
        }
      }
    }
  }
}
