/// Floating-point operations and bytes that a call needs at least.
public struct Work: Sendable, Hashable, Codable {
  /// A multiply-add counts two.
  public var flops: Double
  /// Every operand read once, every result written once.
  public var bytes: Double

  public init(flops: Double = 0, bytes: Double = 0) {
    self.flops = flops
    self.bytes = bytes
  }

  public static func += (sum: inout Work, part: Work) {
    sum.flops += part.flops
    sum.bytes += part.bytes
  }
}

extension AttentionLayout {
  /// How many pairs of a query and a key that it sees there are.
  ///
  /// - Parameter window: keys this many positions behind a query and further are not seen.
  public func visiblePairs(window: Int? = nil) -> Int {
    segments.reduce(0) { sum, segment in
      let keys = segment.sharedCount + segment.own.count
      guard segment.causal || window != nil else { return sum + segment.queries.count * keys }
      return segment.queries.indices.reduce(sum) { sum, query in
        let position = segment.firstQueryPosition + query - segment.queries.lowerBound
        // Shared keys are seen wherever the query stands.
        let end = segment.causal ? max(segment.sharedCount, min(keys, position + 1)) : keys
        let start = window.map { min(end, max(0, position - $0 + 1)) } ?? 0
        return sum + end - start
      }
    }
  }
}
