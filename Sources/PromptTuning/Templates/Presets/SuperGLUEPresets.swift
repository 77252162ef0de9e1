extension Preset {
  /// SuperGLUE (Wang et al., 2019).
  ///
  /// Templates and label words of BoolQ, MultiRC, RTE, CB and WiC are those of Dynamic Prompting (Yang et al., 2023),
  /// whose cuts are taken from the last field; COPA and WSC have none there.
  static let superGLUE: [Preset] = [
    Preset(
      "superglue/boolq", "questions about a passage, answered with yes or no",
      template: "hypothesis: {question!}. premise: {passage} {mask}", labels: ["false", "true"], words: ["no", "yes"],
      truncation: .lastFields, metrics: ["accuracy"]),
    Preset(
      "superglue/multirc", "answers to questions about a paragraph, each right or wrong", rows: .answers,
      template: "question: {question!} answer: {answer!}. paragraph: {paragraph} {mask}", labels: ["0", "1"],
      words: ["no", "yes"], truncation: .lastFields, metrics: ["f1a", "em", "accuracy"]),
    Preset(
      "superglue/rte", "whether a sentence follows from another",
      template: "sentence1: {premise} sentence2: {hypothesis} {mask}", labels: ["entailment", "not_entailment"],
      words: ["yes", "no"], truncation: .lastFields, metrics: ["accuracy"]),
    Preset(
      "superglue/cb", "whether a clause follows from a text, contradicts it, or neither",
      template: "hypothesis: {hypothesis}. premise: {premise} {mask}",
      labels: ["entailment", "contradiction", "neutral"], words: ["yes", "no", "maybe"], truncation: .lastFields,
      metrics: ["accuracy", "macro-f1"]),
    Preset(
      "superglue/wic", "whether a word means the same in two sentences",
      template: "sentence1: {sentence1} sentence2: {sentence2} word: {word!} {mask}", labels: ["false", "true"],
      words: ["no", "yes"], truncation: .lastFields, metrics: ["accuracy"]),
    Preset(
      "superglue/copa", "which of two choices is the cause or the effect of a premise",
      template: "choice1: {choice1} choice2: {choice2} premise: {premise} question: {question!} {mask}",
      labels: ["0", "1"], words: ["first", "second"], truncation: .lastFields, metrics: ["accuracy"]),
    Preset(
      "superglue/wsc", "whether a pronoun stands for a noun of the text",
      template: "text: {text} pronoun: {target.span2_text!} noun: {target.span1_text!} {mask}",
      labels: ["false", "true"], words: ["no", "yes"], truncation: .lastFields, metrics: ["accuracy"]),
  ]
}
