import Crypto
import Foundation
import Synchronization

/// The neighbours in a pool of every example that was looked up.
public final class NeighbourTable: Sendable {
  private let found = Mutex<[ExampleSource: [Neighbour]]>([:])

  public init() {}

  /// An example's neighbours, best first; nil if it was not looked up.
  public func neighbours(of example: Example) -> [Neighbour]? { found.withLock { $0[example.source] } }

  func set(_ neighbours: [Neighbour], of example: Example) { found.withLock { $0[example.source] = neighbours } }
}

/// Looks up the demonstrations of examples before they are encoded: once, whatever the number of passes over them.
public struct DemonstrationFinder {
  /// What the template reads.
  public let table = NeighbourTable()
  private let retriever: Retriever
  private let rows: PoolRows
  private let shots: Int

  public init(_ retriever: Retriever, pool: [Example], shots: Int) {
    self.retriever = retriever
    self.shots = shots
    rows = PoolRows(pool)
  }

  /// Looks up examples; one that is itself a row of the pool does not find that row.
  ///
  /// - Throws: what the retriever throws.
  public func prepare(_ examples: [Example]) throws {
    let queries = examples.map { RetrievalQuery($0, excluded: rows.row(of: $0)) }
    for (example, neighbours) in zip(examples, try retriever.nearest(queries, count: shots)) {
      table.set(neighbours, of: example)
    }
  }
}

extension RetrievalQuery {
  /// The input of an example, which is all that is compared.
  public init(_ example: Example, excluded: Int? = nil) {
    self.init(text: example.input, place: "\(example.source)", excluded: excluded)
  }
}

extension IndexQuery {
  /// The input of an example.
  public init(_ example: Example) { self.init(text: example.input, place: "\(example.source)") }
}

/// Tells which row of a pool an example itself is: the one with its file and line.
struct PoolRows: Sendable {
  private var rows: [ExampleSource: Int] = [:]
  private var files: Set<String> = []

  init(_ pool: [Example]) {
    for (row, example) in pool.enumerated() {
      rows[example.source] = row
      files.insert(example.source.file)
    }
    for file in files {
      let resolved = Self.resolved(file)
      guard resolved != file else { continue }
      for (row, example) in pool.enumerated() where example.source.file == file {
        rows[ExampleSource(file: resolved, line: example.source.line)] = row
      }
    }
  }

  /// Nil if it is none of them.
  func row(of example: Example) -> Int? {
    if files.contains(example.source.file) { return rows[example.source] }
    // The same file may have been named in another way.
    return rows[ExampleSource(file: Self.resolved(example.source.file), line: example.source.line)]
  }

  private static func resolved(_ file: String) -> String {
    URL(fileURLWithPath: file).resolvingSymlinksInPath().path
  }
}

/// A digest of what demonstrations are made of.
public enum PoolDigest {
  /// The SHA-256 of the inputs and targets of examples, in order.
  public static func of(_ pool: [Example]) -> String {
    var hash = SHA256()
    func add(_ text: String) {
      let bytes = Data(text.utf8)
      hash.update(data: Data("\(bytes.count):".utf8))
      hash.update(data: bytes)
    }
    for example in pool {
      add(example.input)
      hash.update(data: Data("\(example.targets.count)/".utf8))
      for target in example.targets { add(target) }
    }
    return hash.finalize().hexadecimal
  }
}
