import Crypto
import Foundation
import Synchronization

/// The neighbours in a pool of every example that was looked up.
public final class NeighbourTable: Sendable {
  private let found = Mutex<[ExampleKey: [Neighbour]]>([:])

  public init() {}

  /// An example's neighbours, best first; nil if it was not looked up.
  public func neighbours(of example: Example) -> [Neighbour]? { found.withLock { $0[ExampleKey(example)] } }

  func set(_ neighbours: [Neighbour], of example: Example) { found.withLock { $0[ExampleKey(example)] = neighbours } }
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

/// What tells an example from all others: its file and line, and its place among those of a line.
private struct ExampleKey: Hashable {
  var source: ExampleSource
  var part: Int

  init(_ example: Example, file: String? = nil) {
    source = example.source
    if let file { source.file = file }
    part = example.part
  }
}

/// Tells which row of a pool an example itself is: the one with its file and line.
struct PoolRows: Sendable {
  private var rows: [ExampleKey: Int] = [:]
  private var files: Set<String> = []

  init(_ pool: [Example]) {
    for (row, example) in pool.enumerated() {
      rows[ExampleKey(example)] = row
      files.insert(example.source.file)
    }
    for file in files {
      let resolved = Self.resolved(file)
      guard resolved != file else { continue }
      for (row, example) in pool.enumerated() where example.source.file == file {
        rows[ExampleKey(example, file: resolved)] = row
      }
    }
  }

  /// Nil if it is none of them.
  func row(of example: Example) -> Int? {
    if files.contains(example.source.file) { return rows[ExampleKey(example)] }
    // The same file may have been named in another way.
    return rows[ExampleKey(example, file: Self.resolved(example.source.file))]
  }

  private static func resolved(_ file: String) -> String {
    URL(fileURLWithPath: file).resolvingSymlinksInPath().path
  }
}

/// A digest of what demonstrations are made of.
public enum PoolDigest {
  /// The SHA-256 of the examples in order: their fields and labels, or inputs and targets where there are no fields.
  ///
  /// The words that a template makes of fields do not count.
  public static func of(_ pool: [Example]) -> String {
    var hash = SHA256()
    func add(_ text: String) {
      let bytes = Data(text.utf8)
      hash.update(data: Data("\(bytes.count):".utf8))
      hash.update(data: bytes)
    }
    for example in pool {
      let texts = example.fields.isEmpty ? [example.input] + example.targets : example.fields.names
      hash.update(data: Data("\(texts.count)/".utf8))
      for text in texts {
        add(text)
        if let value = example.fields.texts[text] { add(value) }
      }
      if !example.fields.isEmpty, let label = example.label { add("\(label)") }
    }
    return hash.finalize().hexadecimal
  }
}
