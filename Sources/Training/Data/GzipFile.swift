import CZlib

/// The uncompressed bytes of a gzip file, one or several members end to end.
final class GzipFile: ByteSource {
  private static let bufferSize = 1 << 16
  /// zlib's code for "a gzip header and trailer, largest window".
  private static let gzipWindow: Int32 = 15 + 16

  private let path: String
  private let file: PlainFile
  private let buffer: UnsafeMutableRawBufferPointer
  /// zlib keeps a pointer to its stream, so the stream needs an address that stays.
  private let stream: UnsafeMutablePointer<z_stream>
  private var isInsideMember = false
  private var membersRead = 0

  /// - Throws: `TrainingError.unreadable`.
  init(path: String) throws {
    self.path = path
    file = try PlainFile(path: path)
    buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    guard inflateInit2_(stream, Self.gzipWindow, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw TrainingError.unreadable(path: path, reason: "zlib cannot start")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
    buffer.deallocate()
  }

  func read(into output: UnsafeMutableRawBufferPointer) throws -> Int {
    guard output.count > 0 else { return 0 }
    stream.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = UInt32(clamping: output.count)
    let wanted = Int(stream.pointee.avail_out)
    while stream.pointee.avail_out > 0 {
      if stream.pointee.avail_in == 0 {
        let count = try file.read(into: buffer)
        if count == 0 {
          guard !isInsideMember, membersRead > 0 else { throw corrupt("truncated gzip data") }
          break
        }
        stream.pointee.next_in = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(count)
      }
      if !isInsideMember {
        if membersRead > 0 { inflateReset(stream) }
        isInsideMember = true
      }
      switch inflate(stream, Z_NO_FLUSH) {
      case Z_OK, Z_BUF_ERROR: break
      case Z_STREAM_END:
        isInsideMember = false
        membersRead += 1
      default:
        let detail = stream.pointee.msg.map { String(cString: $0) } ?? "broken stream"
        throw corrupt("corrupt gzip data (\(detail))")
      }
    }
    return wanted - Int(stream.pointee.avail_out)
  }

  private func corrupt(_ reason: String) -> TrainingError { .unreadable(path: path, reason: reason) }
}
