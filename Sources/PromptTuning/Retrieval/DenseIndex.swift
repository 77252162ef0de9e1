import Compute

/// Exact nearest neighbours by the cosine of vectors.
///
/// The device multiplies blocks of queries with blocks of texts; the host keeps every text that may be among the best
/// within the rounding of those products, and ranks those by scores formed in `Double`. So the result does not depend
/// on blocks or devices, and equal vectors have equal scores.
public final class DenseIndex: TextIndex {
  public let count: Int
  private let width: Int
  private let backend: any ComputeBackend
  /// `[count, width]`, each of length 1 or 0.
  private let vectors: [Float]
  private let vectorsOf: ([IndexQuery]) throws -> [Float]

  /// Rows of a block of texts and of a block of queries.
  private static let textBlock = 16384
  private static let queryBlock = 256

  /// - Parameters:
  ///   - vectors: `[count, width]`, row-major, each of length 1 or 0.
  ///   - vectorsOf: gives such vectors for queries.
  public init(
    vectors: [Float], width: Int, on backend: any ComputeBackend,
    vectorsOf: @escaping ([IndexQuery]) throws -> [Float]
  ) {
    precondition(width > 0 && vectors.count % width == 0, "whole vectors")
    self.vectors = vectors
    self.width = width
    self.backend = backend
    self.vectorsOf = vectorsOf
    count = vectors.count / width
  }

  public func nearest(_ queries: [IndexQuery], count wanted: Int) throws -> [[ScoredText]] {
    let asked = try vectorsOf(queries)
    precondition(asked.count == queries.count * width, "a vector for each query")
    guard wanted > 0, count > 0 else { return queries.map { _ in [] } }
    var searches = queries.map { _ in Candidates(wanted, tolerance: tolerance) }
    for textStart in stride(from: 0, to: count, by: Self.textBlock) {
      let texts = textStart..<min(textStart + Self.textBlock, count)
      let block = try matrix(vectors, texts)
      for queryStart in stride(from: 0, to: queries.count, by: Self.queryBlock) {
        let rows = queryStart..<min(queryStart + Self.queryBlock, queries.count)
        let products = try backend.values(
          try backend.matmul(try matrix(asked, rows), block, MatmulOptions(transposeB: true)))
        products.withUnsafeBufferPointer { products in
          for row in rows {
            let first = (row - queryStart) * texts.count
            searches[row].add(UnsafeBufferPointer(rebasing: products[first..<first + texts.count]), from: textStart)
          }
        }
      }
    }
    return queries.indices.map { row in ranked(searches[row], asked, row, wanted) }
  }

  /// Twice what rounding can change a product of two unit vectors by, in f32 and in any order of its sum; the vectors
  /// themselves are rounded, too.
  private var tolerance: Float { 2 * Float(width + 4) * 0x1p-24 }

  private func matrix(_ values: [Float], _ rows: Range<Int>) throws -> Tensor {
    try backend.tensor(Array(values[rows.lowerBound * width..<rows.upperBound * width]), [rows.count, width])
  }

  private func ranked(_ candidates: Candidates, _ asked: [Float], _ row: Int, _ wanted: Int) -> [ScoredText] {
    var best = BestTexts(wanted)
    vectors.withUnsafeBufferPointer { vectors in
      asked.withUnsafeBufferPointer { asked in
        for text in candidates.texts {
          var (product, square, askedSquare) = (0.0, 0.0, 0.0)
          for column in 0..<width {
            let (value, other) = (Double(vectors[text * width + column]), Double(asked[row * width + column]))
            product += value * other
            square += value * value
            askedSquare += other * other
          }
          let lengths = (square * askedSquare).squareRoot()
          best.insert(ScoredText(text: text, score: lengths > 0 ? product / lengths : 0))
        }
      }
    }
    return best.sorted()
  }
}

/// The texts that may be among the best of one query.
private struct Candidates {
  private var best: BestTexts
  private let tolerance: Float
  private var found: [(text: Int, score: Float)] = []
  /// Beyond this many, those that have fallen behind are dropped.
  private var limit: Int

  init(_ count: Int, tolerance: Float) {
    best = BestTexts(count)
    self.tolerance = tolerance
    limit = max(64, 8 * count)
  }

  private var threshold: Float { Float(best.threshold) - tolerance }

  mutating func add(_ scores: UnsafeBufferPointer<Float>, from first: Int) {
    var least = threshold
    // Written so that NaN is taken and seen later, not lost.
    for place in 0..<scores.count where !(scores[place] < least) {
      found.append((first + place, scores[place]))
      best.insert(ScoredText(text: first + place, score: Double(scores[place])))
      least = threshold
      if found.count > limit {
        found.removeAll { $0.score < least }
        limit = max(limit, 2 * found.count)
      }
    }
  }

  var texts: [Int] {
    let least = threshold
    return found.lazy.filter { !($0.score < least) }.map(\.text)
  }
}
