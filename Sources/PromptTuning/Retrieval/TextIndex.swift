/// A text of an index, and how well it suits a query.
public struct ScoredText: Sendable, Hashable {
  /// The number of the text in its index.
  public var text: Int
  public var score: Double

  public init(text: Int, score: Double) {
    self.text = text
    self.score = score
  }

  /// Whether it stands before another one: by score, and among equal scores by number.
  public func precedes(_ other: ScoredText) -> Bool {
    score > other.score || (score == other.score && text < other.text)
  }
}

/// Different texts, and a measure of how similar another text is to each of them.
public protocol TextIndex {
  /// How many texts it has.
  var count: Int { get }

  /// The most similar texts for each query, best first; among equal scores the lower number first.
  ///
  /// - Parameter count: how many; all of them where the index has no more.
  /// - Throws: what computing a score can throw.
  func nearest(_ queries: [IndexQuery], count: Int) throws -> [[ScoredText]]
}

/// A text that is looked for, with its place for messages.
public struct IndexQuery: Sendable, Hashable {
  public var text: String
  public var place: String

  public init(text: String, place: String) {
    self.text = text
    self.place = place
  }
}

/// The best of many scored texts, kept in a heap whose root is the worst of them.
struct BestTexts {
  private var heap: [ScoredText] = []
  private let capacity: Int

  init(_ capacity: Int) {
    precondition(capacity >= 1, "at least one text is kept")
    self.capacity = capacity
    heap.reserveCapacity(capacity)
  }

  /// What a score must reach to be of interest; minus infinity while there is room.
  var threshold: Double { heap.count < capacity ? -.infinity : heap[0].score }

  mutating func insert(_ candidate: ScoredText) {
    if heap.count < capacity {
      heap.append(candidate)
      rise(heap.count - 1)
    } else if candidate.precedes(heap[0]) {
      heap[0] = candidate
      sink()
    }
  }

  /// All that were kept, best first.
  func sorted() -> [ScoredText] { heap.sorted { $0.precedes($1) } }

  private mutating func rise(_ start: Int) {
    var place = start
    while place > 0, heap[(place - 1) / 2].precedes(heap[place]) {
      heap.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  private mutating func sink() {
    var place = 0
    while true {
      var worst = place
      for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[worst].precedes(heap[child]) {
        worst = child
      }
      if worst == place { return }
      heap.swapAt(place, worst)
      place = worst
    }
  }
}
