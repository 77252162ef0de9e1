import Foundation

/// Running text for language modelling, one document at a time, so that large files need little memory.
///
/// JSON Lines (`.jsonl`, `.jsonl.gz`) hold a document a line: field `text`, or `input` and `target` with a newline
/// between. Any other file is one document, plain or `.gz`.
public final class DocumentFile {
  /// A document, or a part of one.
  public struct Piece: Sendable, Hashable {
    public var text: String
    /// The line where it starts, from 1.
    public var line: Int
    /// Nothing more of the document follows.
    public var endsDocument: Bool
  }

  /// Bytes of a plain text that are handed out together; they end at a line's end.
  static let pieceSize = 1 << 20

  public let path: String
  private let lines: JSONLines?
  private let text: LineReader?
  private var isFinished = false
  private var isEmpty = true

  /// - Throws: `TrainingError.unreadable`.
  public init(path: String) throws {
    self.path = path
    let isJSON = path.hasSuffix(".jsonl") || path.hasSuffix(".jsonl.gz")
    lines = isJSON ? try JSONLines(path: path) : nil
    text = isJSON ? nil : try LineReader(path: path)
  }

  /// The next piece, or nil after the last.
  ///
  /// - Throws: `TrainingError` naming file and line; `.noExamples` if there is no document at all.
  public func next() throws -> Piece? {
    guard !isFinished else { return nil }
    let piece = try lines.map(nextObject) ?? text.flatMap { try nextText($0) }
    guard let piece else {
      isFinished = true
      if isEmpty { throw TrainingError.noExamples(path: path) }
      return nil
    }
    isEmpty = false
    return piece
  }

  private func nextObject(_ lines: JSONLines) throws -> Piece? {
    guard let object = try lines.next() else { return nil }
    let text: String
    if object["text"] != nil {
      text = try lines.string("text", of: object)
    } else if object["input"] != nil {
      text = try lines.string("input", of: object) + "\n" + ExampleFile.targets(of: object, lines)[0]
    } else {
      throw lines.error("field 'text' (or 'input' and 'target') is missing")
    }
    return Piece(text: text, line: lines.lineNumber, endsDocument: true)
  }

  private func nextText(_ reader: LineReader) throws -> Piece? {
    let start = reader.lineNumber + 1
    var piece = ""
    while piece.utf8.count < Self.pieceSize {
      guard let line = try reader.next() else {
        guard !piece.isEmpty else { return nil }
        isFinished = true
        isEmpty = false
        return Piece(text: piece, line: start, endsDocument: true)
      }
      piece += line
      piece += "\n"
    }
    return Piece(text: piece, line: start, endsDocument: false)
  }
}
