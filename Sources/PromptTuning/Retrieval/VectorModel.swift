import Compute
import Crypto
import Foundation
import LanguageModels
import Tokenizers

/// A model directory whose hidden states are the vectors of texts: pooled as its `modules.json` says, else their mean,
/// and divided by their length.
///
/// The model is opened when a vector is first needed.
public final class VectorModel {
  /// A digest of everything that decides what the vectors are.
  public let identity: String
  private let directory: URL
  private let backend: any ComputeBackend
  private let notice: (String) -> Void
  private var embedder: TextEmbedder?

  /// - Parameters:
  ///   - path: a directory with an encoder or any other model.
  ///   - notice: is told of texts that were cut.
  /// - Throws: `CheckpointError` if a file cannot be read.
  public init(_ path: String, on backend: any ComputeBackend, notice: @escaping (String) -> Void) throws {
    directory = URL(fileURLWithPath: path, isDirectory: true)
    self.backend = backend
    self.notice = notice
    _ = try ModelDirectory(directory)
    identity = try Self.digest(of: directory)
  }

  /// The vectors of texts, each of length 1: `[texts, width]` and the width.
  ///
  /// Texts that are too long for the model lose their last tokens, and are counted.
  ///
  /// - Throws: `MethodError.badText`; what opening the model throws.
  public func vectors(of texts: [IndexQuery]) throws -> (values: [Float], width: Int) {
    let embedder = try opened()
    var values: [Float] = []
    var cut = 0
    var width = 0
    for start in stride(from: 0, to: texts.count, by: Self.textsAtATime) {
      let part = texts[start..<min(start + Self.textsAtATime, texts.count)]
      for embedding in try embedder.embed(part.map(\.text), place: { texts[start + $0].place }) {
        if embedding.cutTokens > 0 { cut += 1 }
        values += embedding.vectors[0]
        width = embedding.vectors[0].count
      }
    }
    if cut > 0 {
      notice("\(directory.path): \(cut) of \(texts.count) texts were cut to the length that the model reads")
    }
    return (values, width)
  }

  /// Bounds what is on the host at a time beside the vectors.
  private static let textsAtATime = 4096

  private func opened() throws -> TextEmbedder {
    if let embedder { return embedder }
    let new = TextEmbedder(
      model: try ModelDirectory(directory).load(on: backend),
      tokenizer: try TokenizerFiles.load(directory: directory), modules: try SentenceModules(directory: directory),
      options: EmbeddingOptions(pooling: .auto, normalizes: true, cutsTexts: true))
    embedder = new
    return new
  }

  // MARK: - Identity

  /// Files of other kinds (other formats of the weights, texts about the model) decide nothing.
  private static let extensions: Set = ["json", "safetensors", "txt", "model"]

  /// The SHA-256 of the files' names and contents.
  private static func digest(of directory: URL) throws -> String {
    var hash = SHA256()
    for name in try FileManager.default.subpathsOfDirectory(atPath: directory.path).sorted()
    where extensions.contains((name as NSString).pathExtension) {
      let url = directory.appendingPathComponent(name)
      hash.update(data: Data(name.utf8 + [0]))
      hash.update(data: Data(SHA256.hash(data: try CheckpointError.map(url))))
    }
    return hash.finalize().hexadecimal
  }
}

extension Digest {
  /// Two lower-case digits for each byte.
  var hexadecimal: String {
    withUnsafeBytes { bytes in bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
  }
}
