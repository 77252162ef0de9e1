import LanguageModels

/// PEFT's names for what a model is used for, as `task_type` of `adapter_config.json` has them.
public enum AdapterTask: String, Sendable, Hashable, Codable, CaseIterable {
  case causalLanguageModel = "CAUSAL_LM"
  case sequenceToSequence = "SEQ_2_SEQ_LM"
  case sequenceClassification = "SEQ_CLS"
  case featureExtraction = "FEATURE_EXTRACTION"

  /// The task of a model without a head of its own.
  init(_ kind: ModelKind) {
    switch kind {
    case .causal: self = .causalLanguageModel
    case .encoder: self = .featureExtraction
    case .encoderDecoder: self = .sequenceToSequence
    }
  }

  /// The kind of model that it asks for; nil where several have it.
  var kind: ModelKind? {
    switch self {
    case .causalLanguageModel: .causal
    case .sequenceToSequence: .encoderDecoder
    case .sequenceClassification, .featureExtraction: nil
    }
  }
}
