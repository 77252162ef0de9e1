/// Qwen2 (Yang et al., 2024): Llama with biases for queries, keys and values.
enum Qwen2: ModelFamily {
  static let modelType = "qwen2"
  static let prefixes = LlamaDesign.prefixes

  static let knownKeys = KnownKeys(
    LlamaDesign.keys.union(["use_sliding_window", "sliding_window", "max_window_layers", "layer_types"]),
    ignored: LlamaDesign.ignoredKeys, neutral: ["use_mrope": .boolean(false)])

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    var design = try LlamaDesign(file)
    design.inputBias = true
    design.windows = try LlamaDesign.windows(file, layers: design.layers)
    return try design.build(modelType: modelType, file, weights)
  }
}
