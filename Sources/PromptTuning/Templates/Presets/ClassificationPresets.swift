extension Preset {
  /// Sentences and pairs of texts with a class or a value.
  static let classification: [Preset] = [
    sentiment("sst2", "sentences of film reviews, negative or positive"),
    sentiment("sentiment", "reviews with a field 'text', negative (0) or positive (1)"),
    sentiment("pros-cons", "what people like (1) and dislike (0) about products"),
    sentiment("cr", "sentences of product reviews, negative or positive"),
    Preset(
      "subj", "sentences that tell an opinion (0) or a plot (1)", template: "{text} This is {mask}",
      labels: ["0", "1"], words: ["subjective", "objective"], truncation: .lastFields, metrics: ["accuracy"]),
    Preset(
      "trec", "what kind of answer a question asks for", template: "{text} The answer is a {mask}",
      labels: ["0", "1", "2", "3", "4", "5"],
      words: ["description", "thing", "abbreviation", "person", "location", "number"], truncation: .lastFields,
      metrics: ["accuracy", "macro-f1"]),
    Preset(
      "product-matching", "whether two offers are of the same product",
      template: "product 1: {left} product 2: {right} same: {mask}", labels: ["0", "1"], words: ["no", "yes"],
      truncation: .longestFields, metrics: ["macro-f1", "accuracy"]),
    Preset(
      "stsb", "how similar two sentences are, from 0 to 5",
      template: "sentence1: {sentence1} sentence2: {sentence2} {mask}", labelsAreValues: true,
      truncation: .longestFields, metrics: ["pearson", "spearman", "mse"]),
  ]

  private static func sentiment(_ name: String, _ summary: String) -> Preset {
    Preset(
      name, summary, template: "{text} It was {mask}", labels: ["0", "1"], words: ["terrible", "great"],
      truncation: .lastFields, metrics: ["accuracy", "macro-f1"])
  }
}
