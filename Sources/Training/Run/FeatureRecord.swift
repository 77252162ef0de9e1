import Compute
import Foundation
import LanguageModels
import PromptTuning

/// Which inputs a run has read without its prompt, and what it keeps of them, so that it goes on where it was stopped.
enum FeatureRecord {
  static let fileName = "features.safetensors"
  private static let fingerprintsName = "fingerprints"
  private static let valuesName = "features"

  /// - Parameter width: of a feature.
  /// - Throws: `CheckpointError.unwritable`.
  static func write(_ record: FeatureValues, width: Int, to folder: URL) throws {
    let fingerprints = record.fingerprints
    let item = SafetensorsWriter.Item(name: fingerprintsName, type: .i32, shape: [fingerprints.count, 2]) {
      fingerprints.map(\.littleEndian).withUnsafeBytes { Data($0) }
    }
    let values = SafetensorsWriter.Item(
      name: valuesName, shape: [record.values.count / width, width], floats: record.values)
    try SafetensorsWriter.write([item, values], to: folder.appendingPathComponent(fileName))
  }

  /// - Parameter width: of a feature.
  /// - Throws: `CheckpointError`.
  static func read(_ folder: URL, width: Int) throws -> FeatureValues {
    let file = try SafetensorsFile(url: folder.appendingPathComponent(fileName))
    func entry(_ name: String) throws -> SafetensorsFile.Entry {
      guard let entry = file.entries[name] else { throw CheckpointError.missingTensor(path: file.url.path, name: name) }
      return entry
    }
    let (names, values) = (try entry(fingerprintsName), try entry(valuesName))
    guard names.type == .i32, names.shape.rank == 2, names.shape.columns == 2 else {
      throw CheckpointError.malformed(path: file.url.path, reason: "tensor '\(fingerprintsName)' holds no pairs of I32")
    }
    guard values.shape.rank == 2, values.shape.columns == width, values.shape[0] <= names.shape[0] else {
      throw CheckpointError.wrongShape(
        path: file.url.path, name: valuesName, found: values.shape, expected: [names.shape[0], width])
    }
    let fingerprints = file.withBytes(of: names) { bytes in
      (0..<names.shape[0]).map {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
      }
    }
    guard Set(fingerprints).count == fingerprints.count else {
      throw CheckpointError.malformed(path: file.url.path, reason: "tensor '\(fingerprintsName)' names a text twice")
    }
    return FeatureValues(fingerprints: fingerprints, values: try file.floats(of: values))
  }
}
