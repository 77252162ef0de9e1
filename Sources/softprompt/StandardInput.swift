import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The lines of standard input.
///
/// A line ends at a newline and nowhere else.
struct StandardInput {
  /// What can be wrong with a line.
  enum Failure: Error, CustomStringConvertible {
    case notUTF8(line: Int)
    case notJSON(line: Int)
    case notIDs(line: Int)

    var description: String {
      switch self {
      case .notUTF8(let line): "standard input:\(line): not valid UTF-8"
      case .notJSON(let line): "standard input:\(line): not a JSON string"
      case .notIDs(let line): "standard input:\(line): not a JSON array of token ids"
      }
    }
  }

  private let isJSON: Bool
  private let handle: FileHandle
  private var buffer = Data()
  private var isAtEnd = false
  private var line = 0

  /// - Parameter isJSON: each line is a JSON string.
  init(isJSON: Bool, handle: FileHandle = .standardInput) {
    self.isJSON = isJSON
    self.handle = handle
  }

  /// Whether `next` has something to return, or the end to report, without waiting for whoever writes.
  var hasArrived: Bool {
    if isAtEnd || buffer.contains(UInt8(ascii: "\n")) { return true }
    var descriptor = pollfd(fd: handle.fileDescriptor, events: Int16(POLLIN), revents: 0)
    return poll(&descriptor, 1, 0) > 0
  }

  /// The next line's text, or nil at the end.
  ///
  /// - Throws: `Failure` naming the line.
  mutating func next() throws -> String? {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        let bytes = buffer[..<end]
        buffer = buffer[(end + 1)...]
        return try text(bytes)
      }
      if isAtEnd {
        guard !buffer.isEmpty else { return nil }
        defer { buffer = Data() }
        return try text(buffer)
      }
      let more = handle.availableData
      if more.isEmpty { isAtEnd = true } else { buffer = Data(buffer) + more }
    }
  }

  private mutating func text(_ bytes: Data) throws -> String {
    line += 1
    guard let text = String(validating: bytes, as: UTF8.self) else { throw Failure.notUTF8(line: line) }
    guard isJSON else { return text }
    guard let value = try? JSONDecoder().decode(String.self, from: Data(bytes)) else {
      throw Failure.notJSON(line: line)
    }
    return value
  }
}
