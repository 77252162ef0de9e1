import Compute
import Foundation
import OpenCLBackend
import PromptTuning
import Training

/// The demonstrations of a method: their template, what an adapter remembers of them, and the search for retrieved ones.
struct Demonstrations {
  let template: DemonstrationTemplate
  let settings: AdapterSettings.Demonstrations
  private let finder: DemonstrationFinder?

  /// - Parameters:
  ///   - files: where the pool comes from, as they were given.
  ///   - keepsPool: an adapter keeps the whole pool, because it is not all of the files.
  ///   - retriever: what `--retriever` says; nil for what it is without.
  ///   - backend: computes a retriever's vectors.
  /// - Throws: `MethodError.refused` for a pool that is too small; what opening a retriever throws.
  init(
    _ method: Method, pool: [Example], files: [String], keepsPool: Bool = false, seed: UInt64, retriever: String?,
    on backend: () throws -> any ComputeBackend
  ) throws {
    var settings = AdapterSettings.Demonstrations(
      files: files, seed: seed, examples: keepsPool ? pool : nil, digest: PoolDigest.of(pool))
    var finder: DemonstrationFinder?
    switch method.demonstrations {
    // One more than the shots: an example of the pool does not demonstrate itself.
    case .fixed: if !keepsPool { settings.examples = Array(pool.prefix(method.shots + 1)) }
    case .retrieved:
      let kind = RetrieverKind(argument: retriever ?? RetrieverKind.bm25.argument)
      let made = try Self.retriever(kind, over: pool, on: backend)
      finder = DemonstrationFinder(made.retriever, pool: pool, shots: method.shots)
      settings.retriever = kind.argument
      settings.retrieverDigest = made.modelDigest
    case .none, .random: break
    }
    self.settings = settings
    self.finder = finder
    template = try DemonstrationTemplate(
      selection: method.demonstrations, shots: method.shots, pool: pool, seed: seed, neighbours: finder?.table)
  }

  /// Looks up what examples are to be shown; must come before they are encoded.
  ///
  /// - Throws: what computing a vector throws.
  func prepare(_ examples: [Example]) throws { try finder?.prepare(examples) }

  /// A retriever over the inputs of a pool, with vectors kept in the user's cache.
  static func retriever(
    _ kind: RetrieverKind, over pool: [Example], on backend: () throws -> any ComputeBackend
  ) throws -> (retriever: Retriever, modelDigest: String?) {
    let folder = ProgramCache.defaultFolder().map {
      URL(fileURLWithPath: $0, isDirectory: true).appendingPathComponent("vectors", isDirectory: true)
    }
    let notice = DeviceSelection.standardErrorNotice
    return try Retriever.make(
      kind, over: pool.map(IndexQuery.init), store: VectorStore(folder: folder, notice: notice), notice: notice,
      backend: backend)
  }

  /// Refuses options about demonstrations where there are none.
  ///
  /// Zero shots are the point of a comparison at which the others have nothing to say.
  ///
  /// - Throws: `MethodError.refused`.
  static func check(_ method: Method, shots: Int?, data: String?, retriever: String?) throws {
    guard shots != 0 else { return }
    if method.demonstrations == .none, data != nil {
      throw MethodError.refused("--demonstration-data makes no sense without --demonstrations")
    }
    if method.demonstrations != .retrieved, retriever != nil {
      throw MethodError.refused("--retriever makes no sense without --demonstrations retrieved")
    }
  }
}
