/// Mistral (Jiang et al., 2023): Llama with a window in every layer.
enum Mistral: ModelFamily {
  static let modelType = "mistral"
  static let prefixes = LlamaDesign.prefixes

  static let knownKeys = KnownKeys(LlamaDesign.keys.union(["sliding_window"]), ignored: LlamaDesign.ignoredKeys)

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    var design = try LlamaDesign(file)
    let window = try file.optionalInteger("sliding_window", atLeast: 1, ifAbsent: 4096)
    design.windows = [Int?](repeating: window, count: design.layers)
    return try design.build(modelType: modelType, file, weights)
  }
}
