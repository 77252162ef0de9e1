import Compute
import Foundation

/// What can be wrong with a model's files.
///
/// Every description is one line that names the file and the culprit.
public enum CheckpointError: Error, Sendable, CustomStringConvertible {
  /// A file or folder that is not there or cannot be read.
  case unreadable(path: String, reason: String)
  /// A file that cannot be written.
  case unwritable(path: String, reason: String)
  /// A file whose contents break its format.
  case malformed(path: String, reason: String)
  /// A tensor that the model needs and the checkpoint lacks.
  case missingTensor(path: String, name: String)
  /// A tensor of another shape than the configuration says.
  case wrongShape(path: String, name: String, found: Shape, expected: Shape)
  /// A configuration key with a value that is missing or of the wrong kind.
  case badConfiguration(path: String, key: String, reason: String)
  /// Weights that need more bytes than the device has.
  case tooLarge(path: String, needed: Int, device: String, available: Int)
  /// A model family or option that is not implemented.
  case unsupported(path: String, reason: String)

  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .unwritable(let path, let reason): "\(path): cannot be written: \(reason)"
    case .malformed(let path, let reason): "\(path): \(reason)"
    case .missingTensor(let path, let name): "\(path): tensor '\(name)' is missing"
    case .wrongShape(let path, let name, let found, let expected):
      "\(path): tensor '\(name)' has shape \(found), the configuration asks for \(expected)"
    case .badConfiguration(let path, let key, let reason): "\(path): '\(key)' \(reason)"
    case .tooLarge(let path, let needed, let device, let available):
      "\(path): the weights need \(needed) bytes, device '\(device)' has \(available)"
    case .unsupported(let path, let reason): "\(path): \(reason)"
    }
  }
}

extension CheckpointError {
  /// The contents of a file, memory-mapped.
  ///
  /// - Throws: `CheckpointError.unreadable`.
  public static func map(_ url: URL) throws -> Data {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw CheckpointError.unreadable(path: url.path, reason: "no such file")
    }
    guard !isFolder.boolValue else {
      throw CheckpointError.unreadable(path: url.path, reason: "it is a folder")
    }
    do {
      return try Data(contentsOf: url, options: .alwaysMapped)
    } catch {
      throw CheckpointError.unreadable(path: url.path, reason: "permission denied or not a regular file")
    }
  }
}
