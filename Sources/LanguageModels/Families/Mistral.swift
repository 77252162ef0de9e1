/// Mistral (Jiang et al., 2023): Llama with a window in every layer.
enum Mistral: ModelFamily {
  static let modelType = "mistral"
  static let prefixes = LlamaDesign.prefixes

  static let knownKeys = KnownKeys(LlamaDesign.keys.union(["sliding_window"]), ignored: LlamaDesign.ignoredKeys)

  /// The window of files that do not mention it, as opposed to those where it is null.
  private static let defaultWindow = 4096

  static func build(_ file: ConfigurationFile, _ weights: ParameterBuilder) throws -> any LanguageModel {
    var design = try LlamaDesign(file)
    let window =
      file.keys.contains("sliding_window")
      ? try file.optionalInteger("sliding_window", atLeast: 1) : defaultWindow
    design.windows = [Int?](repeating: window, count: design.layers)
    return try design.build(modelType: modelType, file, weights)
  }
}
