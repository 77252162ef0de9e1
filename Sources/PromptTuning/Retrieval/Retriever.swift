/// A row of a pool, and how similar it is to a query.
public struct Neighbour: Sendable, Hashable, Codable {
  /// Its row in the pool, from 0.
  public var index: Int
  public var score: Double

  public init(index: Int, score: Double) {
    self.index = index
    self.score = score
  }

  /// Whether it stands before another one: by score, and among equal scores by row.
  func precedes(_ other: Neighbour) -> Bool {
    score > other.score || (score == other.score && index < other.index)
  }
}

/// A text to find neighbours of.
public struct RetrievalQuery: Sendable, Hashable {
  public var text: String
  /// Where it comes from, for messages.
  public var place: String
  /// The row of the pool that is the query itself and is left out.
  public var excluded: Int?

  public init(text: String, place: String, excluded: Int? = nil) {
    self.text = text
    self.place = place
    self.excluded = excluded
  }
}

/// The nearest rows of a pool of texts, under any measure.
///
/// Equal texts are looked up once, however many rows or queries have them, and rank by row.
public struct Retriever {
  private let index: any TextIndex
  /// The rows of each different text, ascending.
  private let rows: [[Int]]

  /// - Parameters:
  ///   - texts: the pool.
  ///   - makeIndex: an index of the different texts among them; it is told the first row of each and how many rows
  ///     have it.
  public init(_ texts: [String], makeIndex: (_ texts: [String], _ rows: [[Int]]) throws -> any TextIndex) rethrows {
    var numbers: [Bytes: Int] = [:]
    var different: [String] = []
    var rows: [[Int]] = []
    for (row, text) in texts.enumerated() {
      if let number = numbers[Bytes(text)] {
        rows[number].append(row)
      } else {
        numbers[Bytes(text)] = different.count
        different.append(text)
        rows.append([row])
      }
    }
    self.rows = rows
    index = try makeIndex(different, rows)
  }

  /// The nearest rows for each query, best first; among equal scores the lower row first.
  ///
  /// - Parameter count: how many; fewer where the pool has no more.
  /// - Throws: what the index throws.
  public func nearest(_ queries: [RetrievalQuery], count: Int) throws -> [[Neighbour]] {
    var numbers: [Bytes: Int] = [:]
    var different: [IndexQuery] = []
    let places = queries.map { query in
      let key = Bytes(query.text)
      if let number = numbers[key] { return number }
      numbers[key] = different.count
      different.append(IndexQuery(text: query.text, place: query.place))
      return different.count - 1
    }
    // One row may be left out. The best rows lie in as many texts at most, because the first row of a text stands before
    // its others.
    let found = try index.nearest(different, count: min(count + 1, index.count))
    let expanded = found.map { neighbours($0, count: count + 1) }
    return zip(queries, places).map { query, place in
      Array(expanded[place].lazy.filter { $0.index != query.excluded }.prefix(count))
    }
  }

  /// The rows that have the texts.
  private func neighbours(_ texts: [ScoredText], count: Int) -> [Neighbour] {
    var result: [Neighbour] = []
    for text in texts {
      for row in rows[text.text].prefix(count) { result.append(Neighbour(index: row, score: text.score)) }
    }
    result.sort { $0.precedes($1) }
    return Array(result.prefix(count))
  }

  /// A text by its bytes: strings that differ in them are different texts, even if they look alike.
  private struct Bytes: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: Bytes, right: Bytes) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
      var text = text
      text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }
}
