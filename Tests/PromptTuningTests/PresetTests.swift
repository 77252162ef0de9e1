import TestSupport
import Testing

@testable import PromptTuning

@Suite struct PresetTests {
  private static func words(_ preset: String, _ fields: [String: String], _ label: ExampleLabel?) throws -> Example {
    let format = try Preset.named(preset).format
    let row = Example(
      input: fields["input"] ?? "", targets: fields["target"].map { [$0] } ?? [],
      source: ExampleSource(file: "f", line: 1), fields: ExampleFields(fields), label: label)
    return try format.inWords([row])[0]
  }

  @Test func dynamicPromptingsTemplates() throws {
    let boolq = try Self.words(
      "superglue/boolq", ["question": "q", "passage": "p"], ExampleLabel("false", kind: .boolean))
    #expect(boolq.input == "hypothesis: q. premise: p" && boolq.targets == ["no"])
    let multirc = try Self.words(
      "superglue/multirc", ["question": "q", "answer": "a", "paragraph": "p"], ExampleLabel("1", kind: .integer))
    #expect(multirc.input == "question: q answer: a. paragraph: p" && multirc.targets == ["yes"])
    let rte = try Self.words(
      "superglue/rte", ["premise": "p", "hypothesis": "h"], ExampleLabel("not_entailment", kind: .string))
    #expect(rte.input == "sentence1: p sentence2: h" && rte.targets == ["no"])
    let cb = try Self.words(
      "superglue/cb", ["premise": "p", "hypothesis": "h"], ExampleLabel("neutral", kind: .string))
    #expect(cb.input == "hypothesis: h. premise: p" && cb.targets == ["maybe"])
    let wic = try Self.words(
      "superglue/wic", ["sentence1": "s", "sentence2": "t", "word": "w"], ExampleLabel("true", kind: .boolean))
    #expect(wic.input == "sentence1: s sentence2: t word: w" && wic.targets == ["yes"])
    let wsc = try Self.words(
      "superglue/wsc", ["text": "t", "target.span1_text": "n", "target.span2_text": "it"],
      ExampleLabel("true", kind: .boolean))
    #expect(wsc.input == "text: t pronoun: it noun: n" && wsc.targets == ["yes"])
  }

  @Test func everyPresetIsWhole() throws {
    #expect(Set(Preset.all.map(\.name)).count == Preset.all.count)
    for preset in Preset.all {
      let pool = try #require(try preset.format.pool())
      #expect(preset.format.labelWords?.count == preset.format.labels?.count, "\(preset.name)")
      #expect(preset.metrics.isEmpty == false)
      #expect(pool.templates.allSatisfy { $0.mayBeCut }, "\(preset.name) cuts fields, and none may be cut")
      // A label is answered behind the text, so that every kind of model can use the template.
      let isGeneration = preset.format.labels == nil && !preset.format.labelsAreValues
      #expect(pool.templates.allSatisfy { isGeneration ? !$0.hasMask : $0.endsInMask }, "\(preset.name)")
    }
    #expect(throws: MethodError.self) { try Preset.named("superglue/boolqs") }
  }

  @Test func labelsAndValues() throws {
    var format = TaskFormat(templates: ["{t}"])
    func row(_ text: String, _ kind: ExampleLabel.Kind, line: Int) -> Example {
      Example(
        input: "", targets: [], source: ExampleSource(file: "f", line: line), fields: ExampleFields(["t": "x"]),
        label: ExampleLabel(text, kind: kind))
    }
    try format.settleLabels(from: [
      row("10", .integer, line: 1), row("9", .integer, line: 2), row("9", .integer, line: 3),
    ])
    #expect(format.labels == ["9", "10"])
    #expect(try format.classIndex(of: row("10", .integer, line: 4)) == 1)
    let unknown = #expect(throws: MethodError.self) { try format.inWords([row("11", .integer, line: 5)]) }
    #expect("\(unknown.map { "\($0)" } ?? "")".hasPrefix("f:5: field 'label' is '11'"))
    #expect(ExampleLabel.sorted([ExampleLabel("b", kind: .string), ExampleLabel("B", kind: .string)]) == ["B", "b"])
    #expect(
      ExampleLabel.sorted([ExampleLabel("true", kind: .boolean), ExampleLabel("false", kind: .boolean)])
        == ["false", "true"])
    format.labelWords = ["one"]
    #expect(throws: MethodError.self) { try format.checkLabels() }

    let values = TaskFormat(templates: ["{t}"], labelsAreValues: true)
    #expect(try values.value(of: row("3.80", .number, line: 1)) == 3.8)
    #expect(try values.inWords([row("3.80", .number, line: 1)])[0].targets == ["3.80"])
    #expect(throws: MethodError.self) { try values.value(of: row("high", .string, line: 1)) }
  }

  @Test func answersInOtherForms() {
    #expect(AnswerNormalization.none.applied(to: " a ") == " a ")
    #expect(AnswerNormalization.trimmed.applied(to: " a  b\n") == "a  b")
    #expect(AnswerNormalization.spaces.applied(to: " a  b\n") == "a b")
    #expect(AnswerNormalization.lowercased.applied(to: " A  b\n") == "a b")
    #expect(
      AnswerNormalization.sql.applied(to: "SELECT  a , B FROM t WHERE c = 'It  IS'")
        == "select a, b from t where c = 'It IS'")
  }
}
