import Compute
import Foundation
import LanguageModels

/// Small GPT-2 models with random weights.
public enum TinyModel {
  /// A configuration as JSON; the vocabulary has a token for every byte, an end and a begin token.
  public static func configuration(
    width: Int = 24, layers: Int = 2, heads: Int = 3, positions: Int = 96, vocabulary: Int = 258
  ) -> String {
    """
    {"model_type": "gpt2", "n_embd": \(width), "n_layer": \(layers), "n_head": \(heads), "n_positions": \(positions),
     "vocab_size": \(vocabulary), "eos_token_id": 256, "initializer_range": 0.3}
    """
  }

  /// A model with weights large enough that what it says depends on what it reads.
  public static func gpt2(
    on backend: any ComputeBackend, seed: UInt64 = 5, positions: Int = 96, isTrainable: Bool = false
  ) throws -> any LanguageModel {
    let folder = try TemporaryFolder()
    try folder.write(configuration(positions: positions), to: "config.json")
    return try ModelDirectory.initialize(
      try ModelDirectory(folder.url).configuration, seed: seed, on: backend, ModelOptions(isTrainable: isTrainable))
  }

  /// The sizes of such a model, where no device is needed.
  public static func facts(positions: Int? = 96, vocabulary: Int = 258, width: Int = 24) -> ModelFacts {
    ModelFacts(
      modelType: "gpt2", embeddingWidth: width, hiddenWidth: width, layers: 2, heads: 3, vocabularySize: vocabulary,
      maximumPositions: positions, endTokens: [256])
  }
}
