/// A known task: its templates, labels, label words and metrics, and what may be cut from a row that is too long.
public struct Preset: Sendable, Hashable, Codable {
  public var name: String
  /// One line for a person.
  public var summary: String
  public var format: TaskFormat
  /// The words of `--truncate`.
  public var truncation: [String]
  /// The names of the metrics that the task is judged by, the main one first.
  public var metrics: [String]

  init(
    _ name: String, _ summary: String, rows: TaskFormat.RowShape = .fields, template: String, labels: [String]? = nil,
    words: [String]? = nil, labelsAreValues: Bool = false, normalization: AnswerNormalization = .none,
    truncation: Truncation, metrics: [String]
  ) {
    self.name = name
    self.summary = summary
    format = TaskFormat(
      preset: name, rows: rows, templates: [template], labels: labels, labelWords: words,
      labelsAreValues: labelsAreValues, normalization: normalization)
    self.truncation = Truncation.names.filter { truncation.contains($0.value) }.map(\.name)
    self.metrics = metrics
  }

  /// What may be cut.
  public var truncationOptions: Truncation {
    Truncation(Truncation.names.filter { truncation.contains($0.name) }.map(\.value))
  }

  /// All presets, by family.
  public static let all: [Preset] = superGLUE + classification + generation

  /// A preset by its name.
  ///
  /// - Throws: `MethodError.refused` for an unknown name.
  public static func named(_ name: String) throws -> Preset {
    guard let preset = all.first(where: { $0.name == name }) else {
      throw MethodError.refused("unknown preset '\(name)'; known are \(all.map(\.name).joined(separator: ", "))")
    }
    return preset
  }
}
