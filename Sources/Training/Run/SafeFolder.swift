import Foundation
import LanguageModels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder of files that is replaced as a whole, such that a kill at any moment leaves the old or the new one.
///
/// The new contents are written to `NAME.new`, their marker last; then `NAME` becomes `NAME.old` and `NAME.new` becomes
/// `NAME`. `recover` finishes or undoes what a kill interrupted.
struct SafeFolder {
  /// The folder that holds it.
  let parent: URL
  let name: String
  /// The file that is written last: a folder that has it is whole.
  let marker: String
  /// Called with a word for the operation before each one; tests throw from it, as if the process had died there.
  var beforeOperation: (String) throws -> Void = { _ in }

  var url: URL { parent.appendingPathComponent(name) }
  private var new: URL { parent.appendingPathComponent(name + ".new") }
  private var old: URL { parent.appendingPathComponent(name + ".old") }

  /// Whether there is a whole one.
  var exists: Bool { isWhole(url) }

  /// Replaces the folder.
  ///
  /// - Parameters:
  ///   - write: fills an empty folder with everything but the marker.
  ///   - markerContents: the bytes of the marker.
  ///   - retired: what becomes of the folder that was there; it is removed if this is nil.
  func replace(_ write: (URL) throws -> Void, markerContents: Data, retired: URL? = nil) throws {
    do {
      try fill(write, markerContents)
    } catch {
      // Room for whoever runs out of it; what cannot be removed now is removed before the next attempt.
      try? discard(new)
      throw error
    }
    try swap(retired: retired)
  }

  private func fill(_ write: (URL) throws -> Void, _ markerContents: Data) throws {
    try discard(new)
    try beforeOperation("create \(new.lastPathComponent)")
    guard mkdir(new.path, 0o755) == 0 else { throw Self.failure(new) }
    try beforeOperation("write \(new.lastPathComponent)")
    try write(new)
    try beforeOperation("mark \(new.lastPathComponent)")
    try AtomicFile.write(markerContents, to: new.appendingPathComponent(marker))
    try AtomicFile.syncFolder(parent)
  }

  /// Puts a whole `NAME.new` in the place of `NAME`.
  private func swap(retired: URL?) throws {
    if FileManager.default.fileExists(atPath: url.path) {
      try discard(old)
      try move(url, to: old)
    }
    try move(new, to: url)
    try AtomicFile.syncFolder(parent)
    guard FileManager.default.fileExists(atPath: old.path) else { return }
    if let retired, !FileManager.default.fileExists(atPath: retired.path) {
      try move(old, to: retired)
    } else {
      try discard(old)
    }
  }

  /// Finishes or undoes what a kill interrupted.
  func recover() throws {
    if isWhole(new) {
      try swap(retired: nil)
    } else {
      try discard(new)
    }
    if !exists, isWhole(old) {
      try discard(url)
      try move(old, to: url)
      try AtomicFile.syncFolder(parent)
    }
    try discard(old)
  }

  private func isWhole(_ folder: URL) -> Bool {
    FileManager.default.fileExists(atPath: folder.appendingPathComponent(marker).path)
  }

  private func move(_ source: URL, to destination: URL) throws {
    try beforeOperation("rename \(source.lastPathComponent)")
    guard rename(source.path, destination.path) == 0 else { throw Self.failure(destination) }
  }

  /// Removes a folder, its marker first so that what is left of it never looks whole.
  private func discard(_ folder: URL) throws {
    try Self.discard(folder, marker: marker, beforeOperation)
  }

  static func discard(_ folder: URL, marker: String, _ beforeOperation: (String) throws -> Void) throws {
    guard FileManager.default.fileExists(atPath: folder.path) else { return }
    try beforeOperation("unmark \(folder.lastPathComponent)")
    let file = folder.appendingPathComponent(marker)
    guard unlink(file.path) == 0 || errno == ENOENT else { throw failure(file) }
    try beforeOperation("remove \(folder.lastPathComponent)")
    do {
      try FileManager.default.removeItem(at: folder)
    } catch {
      throw TrainingError.unwritable(path: folder.path, reason: "it cannot be removed")
    }
  }

  static func failure(_ url: URL) -> TrainingError {
    .unwritable(path: url.path, reason: String(cString: strerror(errno)))
  }
}
