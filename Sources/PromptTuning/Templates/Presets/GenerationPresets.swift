extension Preset {
  /// Texts and formal languages to be written from an input.
  static let generation: [Preset] = [
    dataToText("e2e", "sentences about restaurants from their properties"),
    dataToText("dart", "sentences from triples"),
    dataToText("webnlg", "sentences from triples of DBpedia"),
    // Its own metric needs the logic form of each row, in a field `logic`.
    dataToText("logic2text", "logical statements about a table"),
    Preset(
      "spider", "SQL from a question and the tables of a database", template: "{input}", normalization: .sql,
      truncation: [.demonstrations, .lastFields], metrics: ["exact-match"]),
    Preset(
      "mtop", "a bracketed parse of what is said to an assistant", template: "{input}", normalization: .trimmed,
      truncation: [.demonstrations, .lastFields], metrics: ["exact-match"]),
  ]

  private static func dataToText(_ name: String, _ summary: String) -> Preset {
    Preset(
      name, summary, template: "{input}", truncation: [.demonstrations, .lastFields], metrics: ["bleu", "rouge-l"])
  }
}
