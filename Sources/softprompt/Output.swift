import Foundation

/// What goes to standard output.
enum Output {
  /// A value as one line of JSON with sorted keys.
  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    write(try encoder.encode(value) + Data("\n".utf8))
  }

  /// A value as JSON inside a sentence.
  static func text(_ value: some Encodable) -> String {
    (try? JSONEncoder().encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// Bytes as they are.
  static func write(_ data: Data) { FileHandle.standardOutput.write(data) }

  /// Rows under a header, columns aligned.
  static func table(_ header: [String], _ rows: [[String]]) {
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    for row in [header] + rows {
      let cells = zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
      print(cells.joined(separator: "  ").trimmingCharacters(in: .whitespaces))
    }
  }
}
