import PromptTuning

/// A file of templates, one a line.
public enum TemplateFile {
  /// Reads the templates of a file.
  ///
  /// - Throws: `TrainingError` for a file that cannot be read, is empty or has a blank line before another;
  ///   `MethodError.badTemplate` naming file and line.
  public static func read(_ path: String) throws -> [TextTemplate] {
    let reader = try LineReader(path: path)
    var templates: [TextTemplate] = []
    var blank: Int?
    while let line = try reader.next() {
      // A file that was written elsewhere ends its lines in CR and LF; neither belongs to a template.
      let text = line.hasSuffix("\r") ? String(line.dropLast()) : line
      if text.allSatisfy(\.isWhitespace) {
        blank = blank ?? reader.lineNumber
        continue
      }
      if let blank { throw TrainingError.badLine(path: path, line: blank, reason: "the line is blank") }
      templates.append(try TextTemplate(text, place: "\(path):\(reader.lineNumber)"))
    }
    guard !templates.isEmpty else { throw TrainingError.unreadable(path: path, reason: "no template in the file") }
    return templates
  }
}
