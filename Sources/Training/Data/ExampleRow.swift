import Foundation
import PromptTuning
import Tokenizers

/// A line of a task's data: a JSON object with the task's own fields.
struct ExampleRow {
  private let value: JSONValue
  let source: ExampleSource

  /// - Throws: `TrainingError.badLine` for text that is not a JSON object.
  init(_ bytes: [UInt8], source: ExampleSource) throws {
    self.source = source
    func broken(_ reason: String) -> TrainingError {
      .badLine(path: source.file, line: source.line, reason: reason)
    }
    do {
      value = try JSONReader.parse(bytes, file: source.file)
    } catch let TokenizerError.syntax(_, _, column, detail) {
      throw broken("not valid JSON at column \(column): \(detail)")
    }
    guard case .object = value.content else { throw broken("not a JSON object") }
  }

  private func error(_ reason: String) -> TrainingError {
    .badLine(path: source.file, line: source.line, reason: reason)
  }

  /// The examples of the row, in order.
  ///
  /// - Throws: `TrainingError.badLine` naming the key.
  func examples(_ shape: TaskFormat.RowShape) throws -> [Example] {
    if shape == .words { return [try words()] }
    if shape == .answers, case .object? = value["passage"]?.content { return try answers() }
    var texts: [String: String] = [:]
    var others: [String: String] = [:]
    Self.collect(value, "", &texts, &others)
    return [
      Example(
        input: texts["input"] ?? "", targets: try targets(), source: source,
        fields: ExampleFields(texts, others: others), label: try label(value["label"], "label"))
    ]
  }

  private static func collect(
    _ value: JSONValue, _ prefix: String, _ texts: inout [String: String], _ others: inout [String: String]
  ) {
    guard case .object(let members) = value.content else { return }
    for member in members {
      let name = prefix + String(decoding: member.key, as: UTF8.self)
      if let text = text(member.value) {
        texts[name] = text
      } else {
        others[name] = member.value.kind
        collect(member.value, name + ".", &texts, &others)
      }
    }
  }

  private static func text(_ value: JSONValue) -> String? {
    switch value.content {
    case .string(let bytes), .number(let bytes): String(decoding: bytes, as: UTF8.self)
    case .bool(let truth): truth ? "true" : "false"
    default: nil
    }
  }

  /// `targets`, else `target` where that is a string: in some tasks it is something else.
  private func targets() throws -> [String] {
    if let list = value["targets"] {
      guard case .array(let items) = list.content else { throw error("field 'targets' is not a list of strings") }
      guard !items.isEmpty else { throw error("field 'targets' is empty") }
      return try items.map {
        guard case .string = $0.content, let text = Self.text($0) else {
          throw error("field 'targets' is not a list of strings")
        }
        return text
      }
    }
    guard let target = value["target"], case .string(let bytes) = target.content else { return [] }
    return [String(decoding: bytes, as: UTF8.self)]
  }

  private func label(_ value: JSONValue?, _ key: String) throws -> ExampleLabel? {
    guard let value, !value.isNull else { return nil }
    switch value.content {
    case .string(let bytes): return ExampleLabel(String(decoding: bytes, as: UTF8.self), kind: .string)
    case .bool(let truth): return ExampleLabel(truth ? "true" : "false", kind: .boolean)
    case .number(let bytes):
      let isInteger = bytes.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
      }
      return ExampleLabel(String(decoding: bytes, as: UTF8.self), kind: isInteger ? .integer : .number)
    default: throw error("field '\(key)' is \(value.kind); a string, a number or a boolean is needed")
    }
  }

  /// The row's `prediction`: a text, a number or a boolean, or a list of these.
  func prediction() throws -> PredictionFile.Prediction {
    guard let prediction = value["prediction"] else { throw error("field 'prediction' is missing") }
    func text(_ value: JSONValue) throws -> String {
      guard let text = Self.text(value) else {
        throw error("field 'prediction' is \(value.kind), not text or a number, nor a list of them")
      }
      return text
    }
    guard case .array(let items) = prediction.content else { return .text(try text(prediction)) }
    return .list(try items.map(text))
  }

  // MARK: - Words

  /// The row's words with their labels.
  private func words() throws -> Example {
    guard value["tokens"] != nil else {
      throw error(
        value["input"] == nil
          ? "field 'tokens' is missing"
          : "field 'tokens' is missing; the row has 'input', one text, and a label for each word needs a list of words")
    }
    let words = try list("tokens").enumerated().map { number, item in
      guard case .string(let bytes) = item.content else {
        throw error("field 'tokens' holds \(item.kind) (item \(number + 1)); strings are needed")
      }
      return String(decoding: bytes, as: UTF8.self)
    }
    guard !words.isEmpty else { throw error("field 'tokens' is empty") }
    var labels: [ExampleLabel]?
    if let stored = value["labels"], !stored.isNull {
      labels = try list("labels").enumerated().map { number, item in
        guard let label = try label(item, "labels") else {
          throw error("field 'labels' holds null (item \(number + 1))")
        }
        return label
      }
    }
    if let labels, labels.count != words.count {
      throw error("field 'labels' has \(labels.count) labels for \(words.count) words in 'tokens'")
    }
    return Example(
      input: words.joined(separator: " "), targets: [], source: source, words: LabeledWords(words, labels: labels))
  }

  private func list(_ key: String) throws -> [JSONValue] {
    guard case .array(let items)? = value[key]?.content else {
      throw error("field '\(key)' is \(value[key]?.kind ?? "missing"); a list is needed")
    }
    return items
  }

  // MARK: - MultiRC

  /// An example for each answer to each question about the row's paragraph.
  private func answers() throws -> [Example] {
    let passage = value["passage"]
    guard let passage, let paragraph = passage["text"].flatMap(Self.text) else {
      throw error("field 'passage.text' is missing or not a string")
    }
    guard case .array(let questions)? = passage["questions"]?.content else {
      throw error("field 'passage.questions' is missing or not a list")
    }
    var examples: [Example] = []
    for (number, item) in questions.enumerated() {
      guard let question = item["question"].flatMap(Self.text), case .array(let answers)? = item["answers"]?.content
      else { throw error("field 'passage.questions' has an item without 'question' or 'answers' (item \(number + 1))") }
      for (place, answer) in answers.enumerated() {
        guard let text = answer["text"].flatMap(Self.text) else {
          throw error("question \(number + 1): answer \(place + 1) has no 'text'")
        }
        let fields = [
          "paragraph": paragraph, "question": question, "answer": text,
          "idx.paragraph": value["idx"].flatMap(Self.text) ?? String(source.line),
          "idx.question": item["idx"].flatMap(Self.text) ?? String(number),
          "idx.answer": answer["idx"].flatMap(Self.text) ?? String(place),
        ]
        examples.append(
          Example(
            input: "", targets: [], source: source, fields: ExampleFields(fields),
            label: try label(answer["label"], "label"),
            part: examples.count))
      }
    }
    return examples
  }
}
