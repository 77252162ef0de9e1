import Compute
import Foundation

/// A file in the address space: pages are read when they are touched.
///
/// Nothing that is written there reaches the file.
final class MappedFile: HostMemory {
  let bytes: UnsafeRawBufferPointer

  /// - Throws: `CheckpointError.unreadable`.
  init(_ url: URL) throws {
    func unreadable(_ reason: String) -> CheckpointError { .unreadable(path: url.path, reason: reason) }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw unreadable("no such file")
    }
    guard !isFolder.boolValue else { throw unreadable("it is a folder") }
    let descriptor = open(url.path, O_RDONLY)
    guard descriptor >= 0 else { throw unreadable("permission denied or not a regular file") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= 0 else { throw unreadable("its size is not known") }
    let count = Int(status.st_size)
    guard count > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
      throw unreadable("it cannot be mapped into memory")
    }
    bytes = UnsafeRawBufferPointer(start: start, count: count)
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }

  // Not for a range of which something was written: that would be lost.
  func release(_ range: Range<Int>) {
    guard let start = bytes.baseAddress, !range.isEmpty else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    // Whole pages alone: what lies beside the range may have been written.
    let (first, end) = ((range.lowerBound + page - 1) / page * page, range.upperBound / page * page)
    guard first < end else { return }
    // Only advice: where it is not heeded, memory is given back when the file is unmapped.
    _ = madvise(UnsafeMutableRawPointer(mutating: start + first), end - first, MADV_DONTNEED)
  }
}
