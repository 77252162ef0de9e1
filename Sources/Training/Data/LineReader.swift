import Foundation

/// The lines of a text file, plain or `.gz`, one at a time.
///
/// A line ends at `\n` only.
final class LineReader {
  private static let pieceSize = 1 << 18

  let path: String
  /// The number of the line that `next` returned last, from 1; 0 before the first.
  private(set) var lineNumber = 0
  private let source: any ByteSource
  private var piece = [UInt8](repeating: 0, count: LineReader.pieceSize)
  private var position = 0
  private var available = 0
  private var isAtEnd = false

  /// - Throws: `TrainingError.unreadable`.
  init(path: String) throws {
    self.path = path
    source = path.hasSuffix(".gz") ? try GzipFile(path: path) : try PlainFile(path: path)
  }

  /// The bytes of the next line without its end, or nil after the last.
  ///
  /// An empty rest behind the last `\n` is no line.
  ///
  /// - Throws: `TrainingError.unreadable`.
  func nextBytes() throws -> [UInt8]? {
    var line: [UInt8] = []
    var hasStarted = false
    while true {
      if position == available {
        if !isAtEnd {
          available = try piece.withUnsafeMutableBytes { try source.read(into: $0) }
          position = 0
          isAtEnd = available == 0
        }
        if isAtEnd {
          guard hasStarted else { return nil }
          lineNumber += 1
          return line
        }
      }
      hasStarted = true
      let end = piece[position..<available].firstIndex(of: UInt8(ascii: "\n")) ?? available
      line += piece[position..<end]
      if end < available {
        position = end + 1
        lineNumber += 1
        return line
      }
      position = available
    }
  }

  /// The next line as text.
  ///
  /// - Throws: `TrainingError.badLine` for bytes that are not UTF-8; `TrainingError.unreadable`.
  func next() throws -> String? {
    guard let bytes = try nextBytes() else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw error("invalid UTF-8") }
    return text
  }

  /// An error at the line that was read last.
  func error(_ reason: String) -> TrainingError { .badLine(path: path, line: lineNumber, reason: reason) }
}
