import ArgumentParser
import PromptTuning

extension DemonstrationSelection: ExpressibleByArgument {}
extension Head: ExpressibleByArgument {}
extension HeadToken: ExpressibleByArgument {}
extension Trainable: ExpressibleByArgument {}

/// The options that decide what the model reads around an example; they stand above what an adapter remembers.
struct TemplateArguments: ParsableArguments {
  @Option(
    help:
      "Demonstrations in front of each example: none, fixed (the first ones), random or retrieved (the most similar ones)."
  )
  var demonstrations: DemonstrationSelection?

  @Option(help: "How many demonstrations.")
  var shots: Int?

  @Option(help: ArgumentHelp("Where demonstrations come from (default: the training data).", valueName: "file"))
  var demonstrationData: String?

  @Option(
    help: ArgumentHelp(
      "What finds retrieved demonstrations: bm25, or the directory of a model whose vectors are compared (default: bm25).",
      valueName: "name or directory"))
  var retriever: String?

  @Option(
    help: ArgumentHelp(
      "What may be cut from an example that is too long: \(Truncation.names.map(\.name).joined(separator: ", ")), or a list.",
      discussion: "Without it such an example is an error. Demonstrations go first; cuts are counted and reported.",
      valueName: "parts"))
  var truncate: Truncation?

  @Option(
    help: ArgumentHelp(
      "The most tokens of an example, its target included and virtual tokens not (default: what the model has room for).",
      discussion: "Longer examples are cut where --truncate says so, else refused.", valueName: "tokens"))
  var maxLength: Int?

  @OptionGroup var task: TaskArguments

  /// Puts what was given here over a method.
  ///
  /// - Throws: `MethodError.refused` if the combination makes no sense.
  func applied(to method: Method) throws -> Method {
    var method = method
    method.setDemonstrations(demonstrations, shots: shots)
    try method.validate()
    return method
  }
}

extension Truncation: ExpressibleByArgument {
  public init?(argument: String) {
    var result: Truncation = []
    for word in argument.split(separator: ",", omittingEmptySubsequences: false) {
      guard let known = Truncation.names.first(where: { $0.name == word }) else { return nil }
      result.insert(known.value)
    }
    self = result
  }
}

/// The options that choose a point on the axes for training.
struct MethodArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      A known method: \(Method.names.joined(separator: ", ")). The other options change single axes of it (default: \
      prompt-tuning).
      """,
      valueName: "name"))
  var method: String?

  @Option(help: "The kind of prompt: \(PromptKind.allCases.map(\.rawValue).joined(separator: ", ")).")
  var prompt: PromptKind?

  @Option(help: "How many virtual tokens the prompt has (default: \(Method.defaultPromptLength)).")
  var promptLength: Int?

  @Option(
    help: ArgumentHelp(
      "Where the prompt starts: random, vocabulary, labels, text:STRING or adapter:DIR (default: vocabulary; prefixes: random).",
      discussion: """
        random: normal numbers as large as the model's token embeddings. vocabulary: embeddings of frequent tokens.
        labels: the mean embedding of each label's tokens. text: the embeddings of a text, repeated to the length. adapter: the vectors of another run.
        """, valueName: "start"))
  var promptInit: String?

  @OptionGroup var head: HeadArguments

  @Option(
    help: ArgumentHelp(
      "The probability that a number in front of a head's output layer is left out of a step (default: 0).",
      valueName: "probability"))
  var headDropout: Double?

  @Option(help: "What is trained: prompt, all or none.")
  var trainable: Trainable?

  @OptionGroup var promptArguments: PromptArguments
  @OptionGroup var template: TemplateArguments
}

/// The options that choose a head.
struct HeadArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What turns hidden states into a loss: \(Head.allCases.map(\.rawValue).joined(separator: ", ")).",
      discussion: Head.kinds.map { "\($0.name): \($0.summary). " }.joined()
        + "Default: the method's; for an encoder classifier.", valueName: "head"))
  var head: Head?

  @Option(
    help: """
      The hidden state that a classifier or a regressor reads: first, last, mean or mask (default: the one that the \
      model's family reads; for an encoder-decoder mean).
      """)
  var headToken: HeadToken?
}
