import Foundation

/// A range of queries and the key ranges it sees.
///
/// The keys of a segment are the shared ranges in their order, then its own; a key's position is its place in that
/// list. Query i of n stands at position `shared keys + (own keys - n) + gap + i`: own keys that are longer than the
/// queries are a history in front of them, and a gap moves the queries behind the last key. Every query sees all shared
/// keys and, if causal, the own keys at positions up to its own; a window hides keys further behind than that.
public struct AttentionSegment: Hashable, Sendable {
  /// Rows of q.
  public var queries: Range<Int>
  /// Rows of k and v in front of everything: a soft prompt, a prefix, a fixed demonstration, a cached history.
  public var shared: [Range<Int>]
  /// Rows of k and v that belong to this segment.
  public var own: Range<Int>
  public var causal: Bool
  /// Positions between the last key and the last query at which no key stands, such as those of padding.
  public var gap: Int

  public init(queries: Range<Int>, shared: [Range<Int>] = [], own: Range<Int>, causal: Bool, gap: Int = 0) {
    self.queries = queries
    self.shared = shared
    self.own = own
    self.causal = causal
    self.gap = gap
  }

  /// How many shared keys there are.
  public var sharedCount: Int { shared.reduce(0) { $0 + $1.count } }

  /// The position of the first query.
  ///
  /// Negative where there are more queries than keys.
  public var firstQueryPosition: Int { sharedCount + own.count + gap - queries.count }
}

/// Who attends to whom in a packed batch: rows are the tokens of all sequences end to end.
///
/// Each query belongs to exactly one segment; a key row may serve many.
public final class AttentionLayout {
  public let segments: [AttentionSegment]
  /// Rows of q.
  public let queryCount: Int
  /// Rows of k and v.
  public let keyCount: Int

  /// What backends made of this layout (tables on their device), by their own key.
  ///
  /// Only backends touch it.
  public var prepared: [ObjectIdentifier: AnyObject] = [:]

  /// - Throws: `ComputeError.invalidArgument` if a range reaches beyond the rows, or a query has no segment or two.
  public init(segments: [AttentionSegment], queryCount: Int, keyCount: Int) throws {
    func fail(_ detail: String) -> ComputeError { .invalidArgument(operation: "attention", detail) }
    var covered = 0
    for segment in segments.sorted(by: { $0.queries.lowerBound < $1.queries.lowerBound })
    where !segment.queries.isEmpty {
      guard segment.queries.lowerBound == covered else {
        throw fail("query \(min(covered, segment.queries.lowerBound)) belongs to no segment or to two")
      }
      covered = segment.queries.upperBound
    }
    guard covered == queryCount else {
      throw fail("the segments cover \(covered) of \(queryCount) queries")
    }
    for range in segments.flatMap({ $0.shared + [$0.own] }) {
      guard range.lowerBound >= 0, range.upperBound <= keyCount else {
        throw fail("keys \(range.lowerBound)..<\(range.upperBound) of \(keyCount)")
      }
    }
    self.segments = segments
    self.queryCount = queryCount
    self.keyCount = keyCount
  }

  /// One sequence in which every token sees itself and, if not causal, everything; else what came before.
  public static func single(queryCount: Int, keyCount: Int, causal: Bool) throws -> AttentionLayout {
    try AttentionLayout(
      segments: [AttentionSegment(queries: 0..<queryCount, own: 0..<keyCount, causal: causal)],
      queryCount: queryCount, keyCount: keyCount)
  }
}

/// T5's buckets of relative positions (Raffel et al., 2020).
public enum RelativePosition {
  /// The bucket of `distance = key position - query position`.
  ///
  /// - Parameters:
  ///   - bidirectional: half of the buckets serve keys behind the query's position, half those ahead; else keys ahead
  ///     share bucket 0.
  ///   - maximumDistance: at and beyond it all distances share the last bucket.
  public static func bucket(distance: Int, bidirectional: Bool, buckets: Int, maximumDistance: Int) -> Int {
    var available = buckets
    var first = 0
    var behind: Int
    if bidirectional {
      available /= 2
      if distance > 0 { first = available }
      behind = abs(distance)
    } else {
      behind = max(-distance, 0)
    }
    let exact = available / 2
    if behind < exact { return first + behind }
    let ratio = log(Float(behind) / Float(exact)) / Float(log(Double(maximumDistance) / Double(exact)))
    behind = exact + Int(ratio * Float(available - exact))
    return first + min(behind, available - 1)
  }
}
