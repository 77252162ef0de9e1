import Compute

/// What measures the similarity of inputs.
public enum RetrieverKind: Sendable, Hashable {
  /// BM25 over words.
  case bm25
  /// The cosine of the vectors that the model in this directory gives.
  case model(String)

  /// What `--retriever` says.
  public init(argument: String) { self = argument == "bm25" ? .bm25 : .model(argument) }

  public var argument: String {
    switch self {
    case .bm25: "bm25"
    case .model(let path): path
    }
  }
}

extension Retriever {
  /// A retriever over a pool of texts, and the digest of its model if it has one.
  ///
  /// - Parameters:
  ///   - texts: the pool, each with its place for messages.
  ///   - store: where vectors are kept.
  ///   - backend: is asked for when vectors are needed.
  /// - Throws: what opening the model or computing a vector throws.
  public static func make(
    _ kind: RetrieverKind, over texts: [IndexQuery], store: VectorStore, notice: @escaping (String) -> Void,
    backend: () throws -> any ComputeBackend
  ) throws -> (retriever: Retriever, modelDigest: String?) {
    switch kind {
    case .bm25:
      let retriever = Retriever(texts.map(\.text)) { BM25Index($0, rowCounts: $1.map(\.count)) }
      return (retriever, nil)
    case .model(let path):
      let backend = try backend()
      let model = try VectorModel(path, on: backend, notice: notice)
      let retriever = try Retriever(texts.map(\.text)) { different, rows in
        let named = zip(different, rows).map { IndexQuery(text: $0, place: texts[$1[0]].place) }
        let pool = try store.vectors(of: named, by: model)
        // A query that the pool has takes the pool's vector, bit for bit.
        let numbers = Dictionary(uniqueKeysWithValues: different.enumerated().map { (Array($1.utf8), $0) })
        return DenseIndex(vectors: pool.values, width: pool.width, on: backend) { queries in
          try model.vectors(of: queries) { query in
            numbers[Array(query.text.utf8)].map { pool.values[$0 * pool.width..<($0 + 1) * pool.width] }
          }
        }
      }
      return (retriever, model.identity)
    }
  }
}

extension VectorModel {
  /// The vectors of texts, `[texts, width]`; those that are already known are not computed.
  fileprivate func vectors(of texts: [IndexQuery], known: (IndexQuery) -> ArraySlice<Float>?) throws -> [Float] {
    let found = texts.map(known)
    let missing = zip(texts, found).filter { $0.1 == nil }.map(\.0)
    let made = missing.isEmpty ? (values: [], width: 0) : try vectors(of: missing)
    var values: [Float] = []
    var next = 0
    for vector in found {
      if let vector {
        values += vector
      } else {
        values += made.values[next * made.width..<(next + 1) * made.width]
        next += 1
      }
    }
    return values
  }
}
