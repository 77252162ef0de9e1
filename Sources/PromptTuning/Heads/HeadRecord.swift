import LanguageModels

/// What decides a head's answers beside its tensors; kept in `softprompt.json`.
public struct HeadRecord: Sendable, Hashable, Codable {
  public var kind: Head
  /// Whose hidden state is read, where that is a choice.
  public var token: HeadToken?
  /// The names of the classes in the order of the scores; empty for a value.
  public var labels: [String]
  /// A word for each class.
  public var labelWords: [String]?
  /// The token that stands for each word.
  public var wordTokens: [Int32]?
  /// Where new weights started.
  public var initialization: String?
  public var seed: UInt64

  /// - Parameter head: built from the request.
  public init(_ head: any TaskHead, _ request: HeadRequest) {
    kind = Head(rawValue: type(of: head).name) ?? .languageModel
    token = head.token
    labels = request.labels
    let verbalizer = head as? VerbalizerHead
    labelWords = verbalizer == nil ? nil : request.labelWords ?? request.labels
    wordTokens = verbalizer?.wordTokens
    initialization = head.parameters.isEmpty ? nil : "normal \(AnswerLayers.deviation)"
    seed = request.seed
  }

  /// The head of a PEFT adapter that says nothing else: a classifier, or a regressor where there is one output.
  ///
  /// - Returns: nil without the tensors of a head.
  public init?(_ modules: [SavedModule], _ facts: ModelFacts, labels: [String]) {
    guard let layout = ClassifierLayout(facts),
      let output = modules.first(where: { $0.name == "\(layout.output).weight" })
    else { return nil }
    let count = output.shape[0]
    kind = count == 1 ? .regressor : .classifier
    token = HeadToken(rawValue: layout.token.rawValue)
    self.labels = count == 1 ? [] : labels.count == count ? labels : (0..<count).map { "LABEL_\($0)" }
    seed = 0
  }

  /// The head of a checkpoint that was trained for classification, or for a regression where it has one output.
  public init(_ stored: StoredClassifier) {
    let isValue = stored.labels.count == 1
    kind = isValue ? .regressor : .classifier
    token = HeadToken(rawValue: stored.token.rawValue)
    labels = isValue ? [] : stored.labels
    seed = 0
  }

  /// Builds the head again, with new weights where the model has none: an adapter's tensors go in their place.
  ///
  /// - Throws: `MethodError.refused`; `.badAdapter` if a word is another token than it was.
  public func head(of model: any LanguageModel, _ codec: TextCodec, trainable: Trainable = .none) throws -> (
    head: any TaskHead, request: HeadRequest
  ) {
    let request = HeadRequest(
      model: model, codec: codec, token: token, labels: labels, labelWords: labelWords, trainable: trainable,
      seed: seed)
    let head = try kind.kind.init(request)
    if let wordTokens, let verbalizer = head as? VerbalizerHead, verbalizer.wordTokens != wordTokens {
      throw MethodError.refused(
        "the label words are the tokens \(verbalizer.wordTokens), in training they were \(wordTokens): another tokenizer"
      )
    }
    return (head, request)
  }
}
