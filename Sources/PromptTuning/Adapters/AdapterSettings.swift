import Foundation
import LanguageModels

/// What `softprompt.json` holds beside PEFT's files: the method and everything that decides what the model reads.
public struct AdapterSettings: Sendable, Hashable, Codable {
  /// The demonstrations that training used.
  public struct Demonstrations: Sendable, Hashable, Codable {
    /// The file of the pool, as it was given.
    public var file: String
    /// Seed of a random choice.
    public var seed: UInt64
    /// The pool itself where it is small (fixed demonstrations), so that the adapter does not depend on the file.
    public var examples: [Example]?

    public init(file: String, seed: UInt64, examples: [Example]?) {
      self.file = file
      self.seed = seed
      self.examples = examples
    }
  }

  /// Raised when older readers would misunderstand the file.
  public static let currentFormat = 1

  public var format: Int
  public var method: Method
  public var truncation: [String]
  public var demonstrations: Demonstrations?
  /// How rows become examples; nil for plain rows of inputs and targets.
  public var task: TaskFormat?
  /// The seed of choices that are drawn in evaluation, where the method draws any.
  public var promptSeed: UInt64?
  /// What the head answers and where it reads; nil for text.
  public var head: HeadRecord?

  public init(
    method: Method, truncation: Truncation, demonstrations: Demonstrations?, task: TaskFormat? = nil,
    head: HeadRecord? = nil, promptSeed: UInt64? = nil
  ) {
    format = Self.currentFormat
    self.method = method
    self.truncation = Truncation.names.filter { truncation.contains($0.value) }.map(\.name)
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
