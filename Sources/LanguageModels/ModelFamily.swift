import Compute

/// What a family is: how its `config.json` is read and a model built from it.
protocol ModelFamily {
  /// `model_type` of `config.json`.
  static var modelType: String { get }

  /// The keys of `config.json` that it knows; another one is refused.
  static var knownKeys: KnownKeys { get }

  /// What stands in front of the names of tensors: the full model's first, then those of parts of it.
  static var prefixes: [String] { get }

  /// The key with the deviation of random weights.
  static var deviationKey: String { get }

  /// Builds the model; `weights` hands out each tensor by name and shape.
  static func build(_ configuration: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel
}

extension ModelFamily {
  static var deviationKey: String { "initializer_range" }

  /// - Throws: `CheckpointError` for a configuration or tensors that are not this family's; `ComputeError` if the
  ///   device lacks memory.
  static func make(
    _ configuration: ConfigurationFile, on backend: any ComputeBackend, _ options: ModelOptions,
    _ source: TensorSource
  ) throws -> any LanguageModel {
    try build(
      configuration,
      try ParameterBuilder(
        configuration, on: backend, options, source, prefixes: prefixes, deviationKey: deviationKey))
  }
}

/// The families that can be opened.
enum ModelFamilies {
  static var all: [any ModelFamily.Type] {
    [
      GPT2.self, GPTNeo.self, GPTNeoX.self, OPT.self, BLOOM.self,
      Llama.self, Mistral.self, Qwen2.self, Qwen3.self,
      BERT.self, DistilBERT.self, RoBERTa.self, XLMRoBERTa.self,
      T5.self, MT5.self,
    ]
  }

  /// The family of a configuration, whose keys it knows.
  ///
  /// - Throws: `CheckpointError` for an unknown family or a key that it does not know.
  static func family(_ configuration: ConfigurationFile) throws -> any ModelFamily.Type {
    let supported = all.map { $0.modelType }.joined(separator: ", ")
    guard let type = try configuration.optionalString("model_type") else {
      throw configuration.error("model_type", "is missing; supported are: \(supported)")
    }
    guard let family = all.first(where: { $0.modelType == type }) else {
      throw configuration.error("model_type", "is '\(type)'; supported are: \(supported)")
    }
    try configuration.check(family.knownKeys, family: type)
    return family
  }
}

/// How a model is loaded.
public struct ModelOptions: Sendable {
  /// How frozen matrices are kept.
  public var precision: WeightPrecision
  /// Every parameter is trained: kept in f32 and given gradients.
  public var isTrainable: Bool
  /// Operands of matrix products are rounded to bf16.
  public var roundsOperands: Bool

  public init(precision: WeightPrecision = .checkpoint, isTrainable: Bool = false, roundsOperands: Bool = false) {
    self.precision = precision
    self.isTrainable = isTrainable
    self.roundsOperands = roundsOperands
  }
}

/// Where the tensors of a new model come from.
enum TensorSource {
  /// From a checkpoint's files.
  case checkpoint(Checkpoint)
  /// Drawn at random with a seed.
  case random(seed: UInt64)
}
