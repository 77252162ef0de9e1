/// Qwen3 (Yang et al., 2025): Llama with a norm for each head's query and key.
enum Qwen3: ModelFamily {
  static let modelType = "qwen3"
  static let prefixes = LlamaDesign.prefixes

  static let knownKeys = KnownKeys(
    LlamaDesign.keys.union([
      "use_sliding_window", "sliding_window", "max_window_layers", "layer_types", "attention_bias",
    ]),
    ignored: LlamaDesign.ignoredKeys)

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    var design = try LlamaDesign(file)
    design.headWidth = try file.optionalInteger("head_dim", atLeast: 1) ?? 128
    design.hasHeadNorms = true
    design.inputBias = try file.boolean("attention_bias", default: false)
    design.outputBias = design.inputBias
    design.windows = try LlamaDesign.windows(file, layers: design.layers)
    return try design.build(modelType: modelType, file, weights)
  }
}
