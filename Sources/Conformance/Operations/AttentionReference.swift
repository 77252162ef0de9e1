import Compute
import Foundation

/// Attention written plainly: for each query and head, the list of keys that it sees.
struct AttentionReference {
  let plan: AttentionOperation.Plan
  let queryCount: Int
  private let q, k, v, bias: [Double]
  private let rounding: OperandRounding
  private let keyColumns, valueColumns, buckets: Int
  private let cotangent: [Double]?
  private(set) var output: [Tracked]
  private(set) var logSumExp: [Tracked]
  /// With respect to q, k, v and the relative table.
  private(set) var gradients: [[TrackedSum]]

  init(plan: AttentionOperation.Plan, _ call: OperationCall, cotangent: [Double]?) {
    self.plan = plan
    self.cotangent = cotangent
    rounding = OperandRounding(isAllowed: plan.mayRound)
    (q, k, v, bias) = (call.doubles(0), call.doubles(1), call.doubles(2), call.doubles(3))
    (keyColumns, valueColumns) = (call.shape(1).columns, call.shape(2).columns)
    buckets = plan.bias == .relative ? call.shape(3)[0] : 0
    queryCount = call.shape(0)[0]
    output = [Tracked](repeating: Tracked(0), count: queryCount * plan.heads * plan.valueWidth)
    logSumExp = [Tracked](repeating: Tracked(-.infinity), count: queryCount * plan.heads)
    gradients = [q.count, k.count, v.count, plan.bias == .relative ? bias.count : 0].map {
      [TrackedSum](repeating: TrackedSum(), count: $0)
    }
  }

  private struct Key {
    let row: Int
    let position: Int
  }

  mutating func compute() {
    for segment in plan.segments {
      let shared = segment.shared.flatMap { Array($0) }
      let keys = (shared + Array(segment.own)).enumerated().map { Key(row: $1, position: $0) }
      for (index, query) in segment.queries.enumerated() {
        let position = keys.count + segment.gap - segment.queries.count + index
        let seen = keys.filter { key in
          if segment.causal, key.position >= shared.count, key.position > position { return false }
          if let window = plan.window, key.position <= position - window { return false }
          return true
        }
        for head in 0..<plan.heads { attend(query: query, head: head, position: position, seen) }
      }
    }
  }

  /// T5's bucket, in Double and without the protocol's own function.
  private func bucket(_ distance: Int) -> Int {
    let half = plan.bidirectional ? buckets / 2 : buckets
    let offset = plan.bidirectional && distance > 0 ? half : 0
    let behind = plan.bidirectional ? abs(distance) : max(0, -distance)
    let exact = half / 2
    if behind < exact { return offset + behind }
    let share = log(Double(behind) / Double(exact)) / log(Double(plan.maximumDistance) / Double(exact))
    // Where the quotient is a whole number in exact arithmetic, Double may fall short of it.
    let steps = Int((share * Double(half - exact) + 1e-9).rounded(.down))
    return offset + min(exact + steps, half - 1)
  }

  private mutating func attend(query: Int, head: Int, position: Int, _ keys: [Key]) {
    let group = head / (plan.heads / plan.keyValueHeads)
    let qStart = (query * plan.heads + head) * plan.width
    let scale = Tracked(Double(plan.scale))
    let scores = keys.map { key in
      let score = scale * rounding.dot(q, qStart, k, key.row * keyColumns + group * plan.width, plan.width)
      switch plan.bias {
      case .none: return score
      case .alibi: return score + Tracked(bias[head]) * Tracked(Double(key.position - position))
      case .relative: return score + Tracked(bias[bucket(key.position - position) * plan.heads + head])
      }
    }
    let (probabilities, logSum) = trackedSoftmax(scores)
    logSumExp[query * plan.heads + head] = logSum
    let outputStart = (query * plan.heads + head) * plan.valueWidth
    for c in 0..<plan.valueWidth {
      var sum = TrackedSum()
      for (key, p) in zip(keys, probabilities) {
        sum.add(rounding.factor(p), times: rounding.factor(v[key.row * valueColumns + group * plan.valueWidth + c]))
      }
      output[outputStart + c] = sum.total()
    }
    guard let cotangent else { return }

    // The device recomputes exp(score - logSumExp), whose relative error is that difference's absolute one.
    let recomputed = zip(scores, probabilities).map { score, p in
      let difference = (score - logSum).error
      let relative = plan.mayRound ? expm1(difference) : difference
      return Tracked(p.value, error: max(p.error, p.value * (relative + 8 * Tracked.unit) + Tracked.tiny))
    }
    var weighted = TrackedSum()
    for c in 0..<plan.valueWidth { weighted.add(output[outputStart + c], times: Tracked(cotangent[outputStart + c])) }
    let mean = weighted.total()
    for (key, p) in zip(keys, recomputed) {
      let vStart = key.row * valueColumns + group * plan.valueWidth
      let incoming = rounding.dot(cotangent, outputStart, v, vStart, plan.valueWidth)
      let scoreGradient = p * (incoming - mean)
      let change = rounding.factor(scale * scoreGradient)
      let kStart = key.row * keyColumns + group * plan.width
      for c in 0..<plan.width {
        gradients[0][qStart + c].add(change, times: rounding.factor(k[kStart + c]))
        gradients[1][kStart + c].add(change, times: rounding.factor(q[qStart + c]))
      }
      let weight = rounding.factor(p)
      for c in 0..<plan.valueWidth {
        gradients[2][vStart + c].add(weight, times: rounding.factor(cotangent[outputStart + c]))
      }
      if plan.bias == .relative {
        gradients[3][bucket(key.position - position) * plan.heads + head].add(scoreGradient)
      }
    }
  }
}

/// What rounding a factor to bfloat16, or not, may change.
struct OperandRounding {
  /// The unit roundoff of bfloat16.
  static let unit = 0x1p-8

  let isAllowed: Bool

  /// A value that every device has: the difference is known.
  func factor(_ value: Double) -> Tracked {
    guard isAllowed else { return Tracked(value) }
    let rounded = Double(HalfPrecision.float(bf16: HalfPrecision.bf16(Float(value))))
    return Tracked(value, error: abs(rounded - value))
  }

  /// A value that the device has computed.
  func factor(_ value: Tracked) -> Tracked {
    guard isAllowed else { return value }
    return Tracked(value.value, error: value.error + Self.unit * (abs(value.value) + value.error) + Tracked.tiny)
  }

  /// `sum over i < count of a[aStart + i] b[bStart + i]`.
  func dot(_ a: [Double], _ aStart: Int, _ b: [Double], _ bStart: Int, _ count: Int) -> Tracked {
    guard isAllowed else { return trackedDot(a, aStart, 1, b, bStart, 1, count) }
    var sum = TrackedSum()
    for i in 0..<count { sum.add(factor(a[aStart + i]), times: factor(b[bStart + i])) }
    return sum.total()
  }
}
