import LanguageModels

/// PEFT's names for what a model is used for, as `task_type` of `adapter_config.json` has them.
public enum AdapterTask: String, Sendable, Hashable, Codable, CaseIterable {
  case causalLanguageModel = "CAUSAL_LM"
  case sequenceToSequence = "SEQ_2_SEQ_LM"
  case sequenceClassification = "SEQ_CLS"
  case tokenClassification = "TOKEN_CLS"
  case featureExtraction = "FEATURE_EXTRACTION"

  /// The task of a model without a head of its own.
  init(_ kind: ModelKind) {
    switch kind {
    case .causal: self = .causalLanguageModel
    case .encoder: self = .featureExtraction
    case .encoderDecoder: self = .sequenceToSequence
    }
  }

  /// The task of a model with a classifier.
  init(reading token: StoredClassifier.Token) {
    switch token {
    case .first, .last: self = .sequenceClassification
    case .every: self = .tokenClassification
    }
  }

  /// The kind of model that it asks for; nil where several have it.
  var kind: ModelKind? {
    switch self {
    case .causalLanguageModel: .causal
    case .sequenceToSequence: .encoderDecoder
    case .sequenceClassification, .tokenClassification, .featureExtraction: nil
    }
  }
}
