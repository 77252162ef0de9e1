import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A line of `metrics.jsonl`: names and numbers in order.
public struct MetricsLine: Sendable, Hashable {
  public enum Value: Sendable, Hashable {
    case integer(Int)
    /// A number; nil is written as null.
    case number(Double?)
  }

  public struct Field: Sendable, Hashable {
    public var name: String
    public var value: Value

    public init(_ name: String, _ value: Value) {
      self.name = name
      self.value = value
    }
  }

  public var fields: [Field]

  public init(_ fields: [Field]) { self.fields = fields }

  /// The line as JSON, without its end.
  public var json: String {
    "{" + fields.map { "\(Self.quoted($0.name)): \(Self.text($0.value))" }.joined(separator: ", ") + "}"
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .integer(let number): String(number)
    case .number(let number): number.flatMap { $0.isFinite ? "\($0)" : nil } ?? "null"
    }
  }

  private static func quoted(_ name: String) -> String {
    "\"" + name.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}

/// The file that metrics are appended to, a line at a time.
final class MetricsLog {
  private let path: String
  private let descriptor: Int32
  /// Bytes so far.
  private(set) var byteCount: Int

  /// Opens or creates the file and drops everything behind `keeping` bytes.
  ///
  /// - Throws: `TrainingError.unwritable`.
  init(path: String, keeping: Int) throws {
    self.path = path
    byteCount = 0
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Self.failure(path) }
    // After a power failure the file can be shorter than the checkpoint remembers.
    let length = Int(lseek(descriptor, 0, SEEK_END))
    byteCount = min(keeping, max(0, length))
    guard ftruncate(descriptor, off_t(byteCount)) == 0, lseek(descriptor, off_t(byteCount), SEEK_SET) >= 0 else {
      throw Self.failure(path)
    }
  }

  deinit { close(descriptor) }

  /// - Throws: `TrainingError.unwritable`.
  func append(_ line: MetricsLine) throws {
    var bytes = Array((line.json + "\n").utf8)[...]
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { buffer in
        #if canImport(Darwin)
          Darwin.write(descriptor, buffer.baseAddress, buffer.count)
        #elseif canImport(Musl)
          Musl.write(descriptor, buffer.baseAddress, buffer.count)
        #else
          Glibc.write(descriptor, buffer.baseAddress, buffer.count)
        #endif
      }
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw Self.failure(path) }
      bytes = bytes.dropFirst(written)
      byteCount += written
    }
  }

  /// Makes what was appended durable.
  ///
  /// - Throws: `TrainingError.unwritable`.
  func synchronize() throws {
    guard fsync(descriptor) == 0 else { throw Self.failure(path) }
  }

  private static func failure(_ path: String) -> TrainingError {
    .unwritable(path: path, reason: String(cString: strerror(errno)))
  }
}
