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

  /// The head of a PEFT adapter that says nothing else: the one for its task with as many outputs.
  ///
  /// - Returns: nil without the tensors of a head.
  public init?(_ modules: [SavedModule], _ facts: ModelFacts, task: AdapterTask?, labels: [String]) {
    let layout = task == .tokenClassification ? ClassifierLayout(tokensOf: facts) : ClassifierLayout(facts)
    guard let layout,
      let output = modules.first(where: { $0.name == "\(layout.output).weight" })
    else { return nil }
    let count = output.shape[0]
    self.init(reading: layout.token, labels.count == count ? labels : (0..<count).map { "LABEL_\($0)" })
  }

  /// The head of a checkpoint that was trained for classification, or for a regression where it has one output.
  ///
  /// - Returns: nil where no head is like it.
  public init?(_ stored: StoredClassifier) {
    self.init(reading: stored.token, stored.labels)
  }

  private init?(reading token: StoredClassifier.Token, _ outputs: [String]) {
    guard let head = Head.kinds.first(where: { $0.isStored(reading: token, outputs: outputs.count) }) else {
      return nil
    }
    kind = Head(head)
    self.token = HeadToken(rawValue: token.rawValue)
    labels = head.answers == .value ? [] : outputs
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
