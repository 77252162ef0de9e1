import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that appears whole or not at all: written beside its place, synced, and renamed.
public final class AtomicFile {
  /// Where the file will be.
  public let url: URL
  private let temporary: URL
  private var descriptor: Int32

  /// Opens a temporary file in the folder of `url`.
  ///
  /// - Throws: `CheckpointError.unwritable`.
  public init(_ url: URL) throws {
    self.url = url
    temporary = url.deletingLastPathComponent()
      .appendingPathComponent(".\(url.lastPathComponent).writing-\(getpid())")
    descriptor = open(temporary.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Self.failure(url) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporary.path)
  }

  /// Appends bytes.
  ///
  /// - Throws: `CheckpointError.unwritable`, for instance when the disk is full.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    var offset = 0
    while offset < bytes.count {
      guard let base = bytes.baseAddress else { return }
      #if canImport(Darwin)
        let written = Darwin.write(descriptor, base + offset, bytes.count - offset)
      #elseif canImport(Musl)
        let written = Musl.write(descriptor, base + offset, bytes.count - offset)
      #else
        let written = Glibc.write(descriptor, base + offset, bytes.count - offset)
      #endif
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw Self.failure(url) }
      offset += written
    }
  }

  /// Appends bytes.
  public func write(_ data: Data) throws { try data.withUnsafeBytes { try write($0) } }

  /// Syncs the contents and moves the file to its place.
  ///
  /// - Throws: `CheckpointError.unwritable`; then nothing is left behind.
  public func commit() throws {
    guard fsync(descriptor) == 0 else { throw Self.failure(url) }
    close(descriptor)
    descriptor = -1
    guard rename(temporary.path, url.path) == 0 else {
      let failure = Self.failure(url)
      unlink(temporary.path)
      throw failure
    }
    try Self.syncFolder(url.deletingLastPathComponent())
  }

  /// Writes a whole file.
  public static func write(_ data: Data, to url: URL) throws {
    let file = try AtomicFile(url)
    try file.write(data)
    try file.commit()
  }

  /// Makes renames inside a folder durable.
  public static func syncFolder(_ url: URL) throws {
    let folder = open(url.path, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { throw failure(url) }
    defer { close(folder) }
    guard fsync(folder) == 0 else { throw failure(url) }
  }

  private static func failure(_ url: URL) -> CheckpointError {
    .unwritable(path: url.path, reason: String(cString: strerror(errno)))
  }
}
