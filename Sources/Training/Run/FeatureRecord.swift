import Compute
import Foundation
import LanguageModels

/// Which inputs a run has read without its prompt, so that it goes on counting where it was stopped.
enum FeatureRecord {
  static let fileName = "features.safetensors"
  private static let tensorName = "fingerprints"

  /// - Throws: `CheckpointError.unwritable`.
  static func write(_ fingerprints: [UInt64], to folder: URL) throws {
    let item = SafetensorsWriter.Item(name: tensorName, type: .i32, shape: [fingerprints.count, 2]) {
      fingerprints.map(\.littleEndian).withUnsafeBytes { Data($0) }
    }
    try SafetensorsWriter.write([item], to: folder.appendingPathComponent(fileName))
  }

  /// - Throws: `CheckpointError`.
  static func read(_ folder: URL) throws -> [UInt64] {
    let file = try SafetensorsFile(url: folder.appendingPathComponent(fileName))
    guard let entry = file.entries[tensorName] else {
      throw CheckpointError.missingTensor(path: file.url.path, name: tensorName)
    }
    guard entry.type == .i32, entry.shape.rank == 2, entry.shape.columns == 2 else {
      throw CheckpointError.malformed(path: file.url.path, reason: "tensor '\(tensorName)' holds no pairs of I32")
    }
    return file.withBytes(of: entry) { bytes in
      (0..<entry.shape[0]).map {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self))
      }
    }
  }
}
