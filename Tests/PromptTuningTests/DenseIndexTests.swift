import Compute
import Foundation
import LanguageModels
import TestSupport
import Testing
import Tokenizers

@testable import PromptTuning

/// Nearest neighbours by vectors against all products in `Double`.
@Suite struct DenseIndexTests {
  private static func unitVectors(_ count: Int, width: Int, stream: UInt64) -> [Float] {
    var generator = Philox(seed: 3, stream: stream)
    return (0..<count).flatMap { _ in (0..<width).map { _ in generator.nextUniform() - 0.5 }.normalized }
  }

  private static func cosine(_ left: ArraySlice<Float>, _ right: ArraySlice<Float>) -> Double {
    func product(_ left: ArraySlice<Float>, _ right: ArraySlice<Float>) -> Double {
      zip(left, right).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let squares = product(left, left) * product(right, right)
    return squares > 0 ? product(left, right) / squares.squareRoot() : 0
  }

  private static func queries(_ count: Int) -> [IndexQuery] {
    (0..<count).map { IndexQuery(text: "\($0)", place: "\($0)") }
  }

  @Test(arguments: Backends.available)
  func findsWhatAllProductsSay(_ device: TestBackend) throws {
    let (width, texts, asked) = (24, 300, 17)
    var vectors = Self.unitVectors(texts, width: width, stream: 1)
    // Copies of a vector tie exactly; a vector of zeros is like nothing.
    for copy in [40, 7, 299] { vectors.replaceSubrange(copy * width..<(copy + 1) * width, with: vectors[..<width]) }
    vectors.replaceSubrange(5 * width..<6 * width, with: [Float](repeating: 0, count: width))
    var queries = Self.unitVectors(asked, width: width, stream: 2)
    queries.replaceSubrange(0..<width, with: vectors[..<width])
    let index = DenseIndex(vectors: vectors, width: width, on: try device.make()) { _ in queries }
    let found = try index.nearest(Self.queries(asked), count: 6)
    for query in 0..<asked {
      let all = (0..<texts).map { text in
        ScoredText(
          text: text,
          score: Self.cosine(vectors[text * width..<(text + 1) * width], queries[query * width..<(query + 1) * width]))
      }
      #expect(found[query] == Array(all.sorted { $0.precedes($1) }.prefix(6)), "query \(query)")
    }
    #expect(found[0].prefix(4).map(\.text) == [0, 7, 40, 299])
  }

  /// Vectors that f32 products cannot tell apart are still ranked right.
  @Test func ranksWhatRoundingBlurs() throws {
    let width = 64
    let base = Self.unitVectors(1, width: width, stream: 4)
    let noise = Self.unitVectors(200, width: width, stream: 5)
    let vectors = (0..<200).flatMap { text in
      (0..<width).map { base[$0] + 5e-8 * noise[text * width + $0] }.normalized
    }
    let other = Self.unitVectors(1, width: width, stream: 6)
    // Nearly at a right angle, where products cancel and rounding is as large as what is left.
    let shared = Float(Self.cosine(base[...], other[...]))
    let asked = zip(base, other).map { $1 - shared * $0 }.normalized
    let index = DenseIndex(vectors: vectors, width: width, on: try Backends.cpu.make()) { _ in asked }
    let found = try index.nearest(Self.queries(1), count: 5)[0]
    let all = (0..<200).map { text in
      ScoredText(text: text, score: Self.cosine(vectors[text * width..<(text + 1) * width], asked[...]))
    }
    #expect(found == Array(all.sorted { $0.precedes($1) }.prefix(5)))
  }

  // MARK: - Models as retrievers

  private static let texts = ["one two", "another text", "one two three", "something else", "one two"]

  private static func places(_ texts: [String]) -> [IndexQuery] {
    texts.enumerated().map { IndexQuery(text: $1, place: "pool:\($0 + 1)") }
  }

  /// A model with random weights and a tokenizer; returns its directory.
  private static func writeModel(_ folder: TemporaryFolder, seed: UInt64) throws -> String {
    let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("TrainingTests/Fixtures/gpt2")
    let configuration = try ModelDirectory(fixture).configuration
    let model = try ModelDirectory.initialize(configuration, seed: seed, on: try Backends.cpu.make())
    let directory = folder.file("model")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try ModelDirectory.save(model, configuration: configuration, companions: fixture, to: directory)
    return directory.path
  }

  @Test func vectorsAreKeptAndBrokenFilesAreReported() throws {
    let folder = try TemporaryFolder()
    let model = try Self.writeModel(folder, seed: 5)
    let cache = folder.file("cache")
    let backend = try Backends.cpu.make()
    final class Notices { var lines: [String] = [] }
    let notices = Notices()
    func make(_ texts: [String] = Self.texts) throws -> Retriever {
      let notice: (String) -> Void = { notices.lines.append($0) }
      return try Retriever.make(
        .model(model), over: Self.places(texts), store: VectorStore(folder: cache, notice: notice), notice: notice,
        backend: { backend }
      ).retriever
    }
    func files() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: cache.path).sorted()
    }
    let query = [RetrievalQuery(text: "one two", place: "q:1", excluded: 0), RetrievalQuery(text: "new", place: "q:2")]
    let first = try make().nearest(query, count: 3)
    #expect(first[0].first?.index == 4)
    #expect(abs((first[0].first?.score ?? .nan) - 1) < 1e-6)
    let kept = try files()
    #expect(kept.count == 1)
    #expect(try make().nearest(query, count: 3) == first)
    #expect(try files() == kept && notices.lines.isEmpty)

    // A byte of the vectors changes.
    let url = cache.appendingPathComponent(try #require(kept.first))
    var bytes = try Data(contentsOf: url)
    bytes[bytes.count - 2] ^= 1
    try bytes.write(to: url)
    #expect(try make().nearest(query, count: 3) == first)
    #expect(notices.lines.count == 1 && notices.lines[0].contains("damaged"), "\(notices.lines)")
    try Data("short".utf8).write(to: url)
    #expect(try make().nearest(query, count: 3) == first)
    #expect(notices.lines.count == 2, "\(notices.lines)")
    #expect(try make().nearest(query, count: 3) == first && notices.lines.count == 2)

    // Other texts and another model have files of their own.
    _ = try make(Self.texts + ["more"]).nearest(query, count: 1)
    #expect(try files().count == 2)
    try FileManager.default.removeItem(atPath: model)
    _ = try Self.writeModel(folder, seed: 6)
    #expect(try make().nearest(query, count: 3) != first)
    #expect(try files().count == 3)
  }

  @Test func scoresAreCosinesOfMeanStates() throws {
    let folder = try TemporaryFolder()
    let model = try Self.writeModel(folder, seed: 5)
    let backend = try Backends.cpu.make()
    let retriever = try Retriever.make(
      .model(model), over: Self.places(Self.texts), store: VectorStore(folder: nil) { _ in }, notice: { _ in },
      backend: { backend }
    ).retriever
    let directory = try ModelDirectory(URL(fileURLWithPath: model))
    let embedder = TextEmbedder(
      model: try directory.load(on: backend), tokenizer: try TokenizerFiles.load(directory: directory.url),
      modules: nil,
      options: EmbeddingOptions(pooling: .mean))
    func vector(_ text: String) throws -> [Double] { try embedder.embed([text])[0].vectors[0].map(Double.init) }
    let query = try vector("two")
    func length(_ vector: [Double]) -> Double { vector.reduce(0) { $0 + $1 * $1 }.squareRoot() }
    for neighbour in try retriever.nearest([RetrievalQuery(text: "two", place: "q")], count: 5)[0] {
      let other = try vector(Self.texts[neighbour.index])
      let cosine = zip(query, other).reduce(0) { $0 + $1.0 * $1.1 } / length(query) / length(other)
      guard abs(neighbour.score - cosine) <= 1e-5 else {
        Issue.record("row \(neighbour.index): \(neighbour.score), expected \(cosine)")
        return
      }
    }
    let error = #expect(throws: MethodError.self) {
      try retriever.nearest([RetrievalQuery(text: "", place: "queries:3")], count: 1)
    }
    #expect(error.map { "\($0)" }?.hasPrefix("queries:3: ") ?? false)
  }
}
