/// How the rows of a task become examples: their shape, the templates, the labels and the words for them.
public struct TaskFormat: Sendable, Hashable, Codable {
  /// What a row of the data holds.
  public enum RowShape: String, Sendable, Hashable, Codable, CaseIterable {
    /// One example, whose fields are the row's.
    case fields
    /// MultiRC: a paragraph with questions, each with answers; every answer is an example with the fields `paragraph`,
    /// `question`, `answer`, `idx.paragraph`, `idx.question` and `idx.answer`. A row of fields is one as well.
    case answers
    /// A list of words, `tokens`, with a list of as many labels, `labels`.
    case words
  }

  /// The preset that it started from.
  public var preset: String?
  public var rows: RowShape
  /// Templates as they are written; none where rows have an input of their own.
  public var templates: [String]
  /// The classes in the order of their numbers; nil until the data or the user names them.
  public var labels: [String]?
  /// A word for each class; nil where the labels themselves are the words.
  public var labelWords: [String]?
  /// Whether labels are values to be learned, not classes.
  public var labelsAreValues: Bool
  /// What an exact match may differ in.
  public var normalization: AnswerNormalization
  /// The template that is used after training.
  public var inferenceTemplate: InferenceTemplate
  /// Seed of the choice among several templates.
  public var seed: UInt64

  public init(
    preset: String? = nil, rows: RowShape = .fields, templates: [String] = [], labels: [String]? = nil,
    labelWords: [String]? = nil, labelsAreValues: Bool = false,
    normalization: AnswerNormalization = .none, inferenceTemplate: InferenceTemplate = .one(1), seed: UInt64 = 0
  ) {
    self.preset = preset
    self.rows = rows
    self.templates = templates
    self.labels = labels
    self.labelWords = labelWords
    self.labelsAreValues = labelsAreValues
    self.normalization = normalization
    self.inferenceTemplate = inferenceTemplate
    self.seed = seed
  }

  /// The templates, read; nil where rows have an input of their own.
  ///
  /// - Throws: `MethodError.badTemplate`.
  public func pool(_ choice: TemplatePool.Choice = .sampled) throws -> TemplatePool? {
    guard !templates.isEmpty else { return nil }
    return try TemplatePool(
      templates.enumerated().map { try TextTemplate($1, place: "template \($0 + 1)") }, choice: choice, seed: seed)
  }

  /// Settles the order of the classes from the training data, unless something else has settled it.
  ///
  /// - Throws: `MethodError.refused` if the words for the labels are not as many as the labels, or labels come twice.
  public mutating func settleLabels(from examples: [Example]) throws {
    if labels == nil, !labelsAreValues {
      let found = ExampleLabel.sorted(examples.lazy.flatMap(\.labels))
      if !found.isEmpty { labels = found }
    }
    try checkLabels()
  }

  /// - Throws: `MethodError.refused` if the words for the labels are not as many as the labels, or labels come twice.
  public func checkLabels() throws {
    if let labels, let twice = labels.indices.first(where: { labels[..<$0].contains(labels[$0]) }) {
      throw MethodError.refused("the label '\(labels[twice])' is there twice")
    }
    guard let labels, let labelWords, labels.count != labelWords.count else { return }
    throw MethodError.refused(
      "\(labelWords.count) label words (\(labelWords.joined(separator: ", "))) for \(labels.count) labels "
        + "(\(labels.joined(separator: ", ")))")
  }

  /// The number of an example's class.
  ///
  /// - Throws: `MethodError.badField` for a label that is missing or unknown.
  public func classIndex(of example: Example) throws -> Int {
    func broken(_ reason: String) -> MethodError { .badField(source: example.source, key: "label", reason: reason) }
    guard let label = example.label else { throw broken("is missing") }
    let known = labels ?? []
    guard let index = known.firstIndex(of: label.text) else {
      throw broken("is '\(label)', the labels are \(known.joined(separator: ", "))")
    }
    return index
  }

  /// The numbers of the classes of an example's words.
  ///
  /// - Throws: `MethodError.badField` for labels that are missing or unknown.
  public func classIndices(of example: Example) throws -> [Int] {
    func broken(_ reason: String) -> MethodError { .badField(source: example.source, key: "labels", reason: reason) }
    guard let found = example.words?.labels else { throw broken("is missing") }
    let known = Dictionary((labels ?? []).enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    return try found.map { label in
      guard let index = known[label.text] else {
        throw broken("holds '\(label)', the labels are \((labels ?? []).joined(separator: ", "))")
      }
      return index
    }
  }

  /// Reads rows as words with a label for each.
  ///
  /// - Throws: `MethodError.refused` where templates put other rows into words.
  public mutating func readWords() throws {
    guard templates.isEmpty else {
      throw MethodError.refused(
        "a template or preset puts the fields of a row into words; where each word has a label, 'tokens' are read as "
          + "they are")
    }
    rows = .words
    labelsAreValues = false
  }

  /// The value of an example that a regressor learns.
  ///
  /// - Throws: `MethodError.badField` for a label that is missing or no number.
  public func value(of example: Example) throws -> Double {
    func broken(_ reason: String) -> MethodError { .badField(source: example.source, key: "label", reason: reason) }
    guard let label = example.label else { throw broken("is missing") }
    guard let value = label.value, value.isFinite else { throw broken("is '\(label)', a number is needed") }
    return value
  }

  /// Examples with their input in the words of the first template, and the word for the label as the target where a row
  /// has no target of its own.
  ///
  /// Every template is tried on every row.
  ///
  /// - Throws: `MethodError.badField` for a field that is missing or no text and for an unknown label.
  public func inWords(_ examples: [Example]) throws -> [Example] {
    // Words are read as they are.
    if rows == .words { return examples }
    let pool = try pool()
    return try examples.map { example in
      var example = example
      if let pool {
        let texts = try pool.templates.map { try $0.text(of: example, mask: nil) }
        example.input = texts[0]
      } else if example.fields.texts["input"] == nil {
        // Whoever has rows of words most likely forgot to say so.
        let head = example.fields.others["tokens"].flatMap { _ in Head.kinds.first { $0.answers == .labels } }
        throw MethodError.badField(
          source: example.source, key: "input",
          reason: "is missing, and no --template puts other fields into words"
            + (head.map { "; --head \($0.name) reads 'tokens'" } ?? ""))
      }
      guard let label = example.label else { return example }
      if labelsAreValues || labels == nil {
        if example.targets.isEmpty { example.targets = [label.text] }
      } else {
        let index = try classIndex(of: example)
        if example.targets.isEmpty { example.targets = [labelWords?[index] ?? label.text] }
      }
      return example
    }
  }
}
