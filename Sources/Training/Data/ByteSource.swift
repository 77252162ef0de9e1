import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Bytes that come one piece after another.
protocol ByteSource: AnyObject {
  /// Fills the front of `buffer` and returns how many bytes that were; 0 at the end.
  ///
  /// - Throws: `TrainingError.unreadable`.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// The bytes of a file as they lie on disk.
final class PlainFile: ByteSource {
  private let path: String
  private let descriptor: Int32

  /// - Throws: `TrainingError.unreadable`.
  init(path: String) throws {
    self.path = path
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw TrainingError.unreadable(path: path, reason: "no such file")
    }
    guard !isFolder.boolValue else { throw TrainingError.unreadable(path: path, reason: "it is a folder") }
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw TrainingError.unreadable(path: path, reason: String(cString: strerror(errno)))
    }
  }

  deinit { close(descriptor) }

  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      #if canImport(Darwin)
        let count = Darwin.read(descriptor, buffer.baseAddress, buffer.count)
      #elseif canImport(Musl)
        let count = Musl.read(descriptor, buffer.baseAddress, buffer.count)
      #else
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      #endif
      if count >= 0 { return count }
      guard errno == EINTR else {
        throw TrainingError.unreadable(path: path, reason: String(cString: strerror(errno)))
      }
    }
  }
}
