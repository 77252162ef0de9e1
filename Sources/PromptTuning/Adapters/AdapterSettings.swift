import Foundation
import LanguageModels

/// What `softprompt.json` holds beside PEFT's files: the method and everything that decides what the model reads.
public struct AdapterSettings: Sendable, Hashable, Codable {
  /// The demonstrations that training used.
  public struct Demonstrations: Sendable, Hashable, Codable {
    /// The file of the pool, as it was given.
    public var file: String
    /// Further files, where the pool has several.
    public var furtherFiles: [String]?
    /// Seed of a random choice.
    public var seed: UInt64
    /// The pool itself, or as much of it as counts, where that is small, so that the adapter does not depend on the files.
    public var examples: [Example]?
    /// `PoolDigest` of the pool.
    public var digest: String?
    /// What `--retriever` says, for retrieved demonstrations.
    public var retriever: String?
    /// `VectorModel.identity` of the retriever's model, if it has one.
    public var retrieverDigest: String?

    public init(
      files: [String], seed: UInt64, examples: [Example]?, digest: String? = nil, retriever: String? = nil,
      retrieverDigest: String? = nil
    ) {
      file = files.first ?? ""
      furtherFiles = files.count > 1 ? Array(files.dropFirst()) : nil
      self.seed = seed
      self.examples = examples
      self.digest = digest
      self.retriever = retriever
      self.retrieverDigest = retrieverDigest
    }

    /// The files of the pool, as they were given.
    public var files: [String] { [file] + (furtherFiles ?? []) }

    /// Whether `examples` is all of the pool.
    public var keepsWholePool: Bool { examples.map { PoolDigest.of($0) == digest } ?? false }

    /// - Throws: `MethodError.changedPool` if a pool is not the one of this digest.
    public func check(_ pool: [Example]) throws {
      guard let digest, PoolDigest.of(pool) != digest else { return }
      throw MethodError.changedPool(
        path: files.joined(separator: ", "),
        reason: "the pool of demonstrations has changed since the adapter was made; "
          + "--demonstration-data names another")
    }
  }

  /// Raised when older readers would misunderstand the file.
  public static let currentFormat = 1

  public var format: Int
  public var method: Method
  public var truncation: [String]
  /// The most tokens of an example; nil for what the model has room for.
  public var maximumLength: Int?
  public var demonstrations: Demonstrations?
  /// How rows become examples; nil for plain rows of inputs and targets.
  public var task: TaskFormat?
  /// The seed of choices that are drawn in evaluation, where the method draws any.
  public var promptSeed: UInt64?
  /// What the head answers and where it reads; nil for text.
  public var head: HeadRecord?

  public init(
    method: Method, truncation: Truncation, maximumLength: Int? = nil, demonstrations: Demonstrations?,
    task: TaskFormat? = nil, head: HeadRecord? = nil, promptSeed: UInt64? = nil
  ) {
    format = Self.currentFormat
    self.method = method
    self.truncation = Truncation.names.filter { truncation.contains($0.value) }.map(\.name)
    self.maximumLength = maximumLength
    self.demonstrations = demonstrations
    self.task = task
    self.head = head
    self.promptSeed = promptSeed
  }

  /// What may be cut.
  public var truncationOptions: Truncation {
    Truncation(Truncation.names.filter { truncation.contains($0.name) }.map(\.value))
  }

  /// Reads a folder's file; nil if there is none.
  ///
  /// - Throws: `MethodError.badAdapter`.
  public static func read(_ directory: URL) throws -> AdapterSettings? {
    let url = directory.appendingPathComponent(Adapter.settingsName)
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    func broken(_ reason: String) -> MethodError { .badAdapter(path: url.path, reason: reason) }
    let settings: AdapterSettings
    do {
      settings = try JSONDecoder().decode(AdapterSettings.self, from: try Data(contentsOf: url))
    } catch let DecodingError.keyNotFound(key, _) {
      throw broken("key '\(key.stringValue)' is missing")
    } catch let DecodingError.typeMismatch(_, context), let DecodingError.valueNotFound(_, context) {
      throw broken("key '\(context.codingPath.map(\.stringValue).joined(separator: "."))' has the wrong type")
    } catch let DecodingError.dataCorrupted(context) where !context.codingPath.isEmpty {
      throw broken("key '\(context.codingPath.map(\.stringValue).joined(separator: "."))' has an unknown value")
    } catch {
      throw broken("not a JSON object of an adapter's settings")
    }
    guard settings.format == currentFormat else {
      throw broken("format \(settings.format) is not known; this program reads format \(currentFormat)")
    }
    if let word = settings.truncation.first(where: { word in !Truncation.names.contains { $0.name == word } }) {
      throw broken("key 'truncation' holds the unknown word '\(word)'")
    }
    return settings
  }

  public func write(_ directory: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try AtomicFile.write(try encoder.encode(self), to: directory.appendingPathComponent(Adapter.settingsName))
  }
}
