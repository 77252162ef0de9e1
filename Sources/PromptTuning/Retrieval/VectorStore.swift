import Crypto
import Foundation
import LanguageModels

/// Vectors of pools on disk, one file for each pool and model.
///
/// The name of a file is a digest of the texts and of the model, so that vectors of changed texts or models are never
/// found. A file that does not hold what it should is reported and made again.
public struct VectorStore {
  /// Raised whenever the meaning of the files or their names changes.
  private static let format = "softprompt-vectors-1"
  private static let tensorName = "vectors"

  private let folder: URL?
  private let notice: (String) -> Void

  /// - Parameters:
  ///   - folder: where the files lie; nil for no store.
  ///   - notice: is told of broken files and of a folder that cannot be used.
  public init(folder: URL?, notice: @escaping (String) -> Void) {
    self.folder = folder
    self.notice = notice
  }

  /// The vectors of texts, from disk if they are there.
  public func vectors(of texts: [IndexQuery], by model: VectorModel) throws -> (values: [Float], width: Int) {
    guard let folder else { return try model.vectors(of: texts) }
    let key = Self.key(texts, model)
    let url = folder.appendingPathComponent("\(key).safetensors")
    if FileManager.default.fileExists(atPath: url.path) {
      do {
        return try Self.load(url, key: key, count: texts.count)
      } catch {
        notice("\(error); its vectors are computed again")
      }
    }
    let made = try model.vectors(of: texts)
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try SafetensorsWriter.write(
        [.init(name: Self.tensorName, shape: [texts.count, made.width], floats: made.values)],
        metadata: ["key": key, "sha256": Self.digest(made.values)], to: url)
    } catch {
      notice("the vectors of the pool are not kept: \(error)")
    }
    return made
  }

  private static func key(_ texts: [IndexQuery], _ model: VectorModel) -> String {
    var hash = SHA256()
    hash.update(data: Data("\(format) \(model.identity) \(texts.count)\n".utf8))
    for text in texts {
      let bytes = Data(text.text.utf8)
      hash.update(data: Data("\(bytes.count):".utf8))
      hash.update(data: bytes)
    }
    return hash.finalize().hexadecimal
  }

  private static func load(_ url: URL, key: String, count: Int) throws -> (values: [Float], width: Int) {
    let file = try SafetensorsFile(url: url)
    func broken(_ reason: String) -> CheckpointError { .malformed(path: url.path, reason: reason) }
    guard file.metadata["key"] == key else { throw broken("it is of other texts or another model") }
    guard let entry = file.entries[tensorName], entry.type == .f32, entry.shape.rank == 2, entry.shape[0] == count,
      entry.shape[1] > 0
    else { throw broken("it does not hold a vector for each text") }
    let values = try file.floats(of: entry)
    guard file.metadata["sha256"] == digest(values) else { throw broken("its vectors are damaged") }
    return (values, entry.shape[1])
  }

  private static func digest(_ values: [Float]) -> String {
    values.withUnsafeBytes { SHA256.hash(data: $0) }.hexadecimal
  }
}
