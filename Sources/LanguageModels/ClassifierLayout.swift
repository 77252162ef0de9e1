import Compute

/// Where a family keeps a classification head: the names and activations of its layers in a checkpoint that was trained
/// for classification of sequences or tokens, as transformers writes it.
public struct ClassifierLayout: Sendable, Hashable {
  /// A layer in front of the scores, as wide as the hidden states.
  public struct Layer: Sendable, Hashable {
    public var name: String
    public var activation: Activation
    /// It belongs to the model and is frozen with it where the checkpoint has it (BERT's pooler).
    public var isBackbone: Bool
  }

  /// The class that transformers opens such a checkpoint with.
  public var architecture: String
  /// Whose hidden state is read.
  public var token: StoredClassifier.Token
  public var layers: [Layer]
  /// The layer that gives the scores.
  public var output: String
  public var hasBias: Bool

  /// A family's layout for sequences; nil where transformers has none that reads the encoder.
  public init?(_ facts: ModelFacts) {
    switch facts.modelType {
    case "bert":
      self.init(
        "Bert", .first, [Layer(name: "bert.pooler.dense", activation: .tanh, isBackbone: true)], output: "classifier")
    case "roberta", "xlm-roberta":
      self.init(
        facts.modelType == "roberta" ? "Roberta" : "XLMRoberta", .first,
        [Layer(name: "classifier.dense", activation: .tanh, isBackbone: false)], output: "classifier.out_proj")
    case "distilbert":
      self.init(
        "DistilBert", .first, [Layer(name: "pre_classifier", activation: .relu, isBackbone: false)],
        output: "classifier")
    default:
      guard facts.kind == .causal, let family = Self.causalFamilies[facts.modelType] else { return nil }
      self.init(family, .last, [], output: "score", hasBias: false)
    }
  }

  /// A family's layout for tokens, one linear layer; nil where transformers has none that reads the encoder.
  public init?(tokensOf facts: ModelFacts) {
    switch facts.modelType {
    case "bert": self.init("Bert", .every, [], output: "classifier")
    case "roberta": self.init("Roberta", .every, [], output: "classifier")
    case "xlm-roberta": self.init("XLMRoberta", .every, [], output: "classifier")
    case "distilbert": self.init("DistilBert", .every, [], output: "classifier")
    default:
      guard facts.kind == .causal, let family = Self.causalFamilies[facts.modelType], family != "OPT" else {
        return nil
      }
      let isOlder = ["GPT2", "GPTNeo", "GPTNeoX", "Bloom"].contains(family)
      self.init(family, .every, [], output: isOlder ? "classifier" : "score")
    }
  }

  private init(
    _ family: String, _ token: StoredClassifier.Token, _ layers: [Layer], output: String, hasBias: Bool = true
  ) {
    architecture = "\(family)For\(token == .every ? "Token" : "Sequence")Classification"
    self.token = token
    self.layers = layers
    self.output = output
    self.hasBias = hasBias
  }

  /// Whether the family of a configuration reads with an encoder alone.
  public static func isEncoder(_ configuration: ConfigurationFile) throws -> Bool {
    let type = try configuration.optionalString("model_type")
    return ["bert", "distilbert", "roberta", "xlm-roberta"].contains(type)
  }

  /// What transformers calls the causal families in the names of its classes.
  private static let causalFamilies = [
    "gpt2": "GPT2", "gpt_neo": "GPTNeo", "gpt_neox": "GPTNeoX", "opt": "OPT", "bloom": "Bloom", "llama": "Llama",
    "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3",
  ]
}
