/// Where an example stands.
public struct ExampleSource: Sendable, Hashable, Codable, CustomStringConvertible {
  public var file: String
  /// Counted from 1.
  public var line: Int

  public init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  public var description: String { "\(file):\(line)" }
}

/// One example of a task.
///
/// Generation needs an input and targets alone. A row of another task also has its fields by name, and a label; its
/// input is then what the first template makes of the fields, and its target the word for the label.
public struct Example: Sendable, Hashable {
  public var input: String
  /// What a language model is to write; training uses the first.
  ///
  /// Empty where nothing says what the answer is.
  public var targets: [String]
  public var source: ExampleSource
  /// The row's own fields; empty where only input and target were asked for.
  public var fields: ExampleFields
  /// The class or the value; nil for generation and for rows without one.
  public var label: ExampleLabel?
  /// The row's words with their labels; nil where a row is one text.
  public var words: LabeledWords?
  /// Which one of a line's examples this is, from 0: a line may hold several questions.
  public var part: Int

  public init(
    input: String, targets: [String], source: ExampleSource, fields: ExampleFields = ExampleFields(),
    label: ExampleLabel? = nil, words: LabeledWords? = nil, part: Int = 0
  ) {
    self.input = input
    self.targets = targets
    self.source = source
    self.fields = fields
    self.label = label
    self.words = words
    self.part = part
  }

  /// The first target.
  ///
  /// - Throws: `MethodError.badField` if the row has neither a target nor a label.
  public func target() throws -> String {
    guard let target = targets.first else {
      throw MethodError.badField(source: source, key: "target", reason: "is missing, and so is 'label'")
    }
    return target
  }
}

extension Example: Codable {
  private enum Key: String, CodingKey {
    case input, targets, source, fields, label, words, part
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    self.init(
      input: try values.decode(String.self, forKey: .input),
      targets: try values.decode([String].self, forKey: .targets),
      source: try values.decode(ExampleSource.self, forKey: .source),
      fields: try values.decodeIfPresent(ExampleFields.self, forKey: .fields) ?? ExampleFields(),
      label: try values.decodeIfPresent(ExampleLabel.self, forKey: .label),
      words: try values.decodeIfPresent(LabeledWords.self, forKey: .words),
      part: try values.decodeIfPresent(Int.self, forKey: .part) ?? 0)
  }

  /// What a plain example does not have is not written.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(input, forKey: .input)
    try values.encode(targets, forKey: .targets)
    try values.encode(source, forKey: .source)
    if !fields.isEmpty { try values.encode(fields, forKey: .fields) }
    try values.encodeIfPresent(label, forKey: .label)
    try values.encodeIfPresent(words, forKey: .words)
    if part != 0 { try values.encode(part, forKey: .part) }
  }
}

/// The fields of a row by name.
public struct ExampleFields: Sendable, Hashable, Codable {
  /// Strings as they are, numbers and booleans as JSON writes them.
  ///
  /// The fields of an object in a field have both names with a point between them: `target.span1_text`.
  public private(set) var texts: [String: String]
  /// Fields that are no text: what they are instead ("a list", "an object", "null").
  public private(set) var others: [String: String]

  public init(_ texts: [String: String] = [:], others: [String: String] = [:]) {
    self.texts = texts
    self.others = others
  }

  public var isEmpty: Bool { texts.isEmpty && others.isEmpty }

  /// The names, sorted.
  public var names: [String] { texts.keys.sorted() }

  /// A field's text.
  ///
  /// - Throws: `MethodError.badField` naming file, line and key if there is none, or if it is a list, an object or null.
  public func text(_ name: String, at source: ExampleSource) throws -> String {
    if let text = texts[name] { return text }
    if let kind = others[name] {
      throw MethodError.badField(source: source, key: name, reason: "is \(kind), a template needs text")
    }
    throw MethodError.badField(
      source: source, key: name,
      reason: "is missing, but a template asks for it; the row has \(names.joined(separator: ", "))")
  }
}

/// An example as token ids, ready for a batch.
public struct EncodedExample: Sendable, Hashable {
  public var source: ExampleSource
  /// What the model reads before the target: demonstrations and input.
  ///
  /// Never empty.
  public var context: [Int32]
  /// What is scored: the target and the end token.
  public var target: [Int32]
  /// Where the mask token stands in the context; nil where the template has none or the model knows none.
  public var maskPosition: Int?
  /// Where the first token of each word stands in the context, ascending; empty where the row is one text.
  public var wordPlaces: [Int]
  /// How many tokens at the end of the context close it: an encoder's end token, in front of which a prompt behind the
  /// text stands.
  public var closing: Int
  /// Which task of several it belongs to, from 0.
  public var task: Int
  /// What a head learns to answer; nil where the target is all there is.
  public var answer: ExampleAnswer?
  /// Whole demonstrations that were left out to make it fit.
  public var cutDemonstrations: Int
  /// Tokens of the input that were left out to make it fit.
  public var cutInputTokens: Int
  /// How similar the most similar of retrieved demonstrations is.
  public var similarity: Double?

  public init(
    source: ExampleSource, context: [Int32], target: [Int32], maskPosition: Int? = nil, wordPlaces: [Int] = [],
    closing: Int = 0, task: Int = 0, answer: ExampleAnswer? = nil, cutDemonstrations: Int = 0, cutInputTokens: Int = 0,
    similarity: Double? = nil
  ) {
    self.source = source
    self.context = context
    self.target = target
    self.maskPosition = maskPosition
    self.wordPlaces = wordPlaces
    self.closing = closing
    self.task = task
    self.answer = answer
    self.cutDemonstrations = cutDemonstrations
    self.cutInputTokens = cutInputTokens
    self.similarity = similarity
  }

  /// Input, target and end tokens.
  public var tokenCount: Int { context.count + target.count }
}

/// What a head learns to answer for an example.
public enum ExampleAnswer: Sendable, Hashable {
  /// The number of the class, from 0.
  case label(Int)
  /// A value.
  case value(Double)
  /// The number of the class of each word.
  case labels([Int])

  /// The number of the class, where it is one.
  public var classIndex: Int? {
    if case .label(let label) = self { label } else { nil }
  }

  /// The answer as whole numbers, for a checksum: different answers of one head give different ones.
  public var numbers: [Int32] {
    switch self {
    case .label(let label): [Int32(truncatingIfNeeded: label)]
    case .value(let value): [Int32(bitPattern: Float(value).bitPattern)]
    case .labels(let labels): labels.map { Int32(truncatingIfNeeded: $0) }
    }
  }

  /// The answers one by one, as a head's scores have rows for them.
  public var parts: [ExampleAnswer] {
    if case .labels(let labels) = self { labels.map { .label($0) } } else { [self] }
  }
}
