import Autodiff
import Compute
import Foundation

/// A model directory in the Hugging Face layout: `config.json`, `model.safetensors` (or the sharded index) and the
/// tokenizer's files.
public struct ModelDirectory {
  /// The families that can be opened, by `model_type`.
  public static var supportedTypes: [String] { ModelFamilies.all.map { $0.modelType } }

  /// Files that belong to the tokenizer or to generation and are carried along when a model is saved.
  static let companions = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
    "added_tokens.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model",
    "generation_config.json",
  ]

  public let url: URL
  public let configuration: ConfigurationFile

  /// - Throws: `CheckpointError` if there is no such directory or its `config.json` cannot be read.
  public init(_ url: URL) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue else {
      throw CheckpointError.unreadable(path: url.path, reason: "no such model directory")
    }
    self.url = url
    configuration = try ConfigurationFile(url: url.appendingPathComponent("config.json"))
    _ = try ModelFamilies.family(configuration)
  }

  /// Opens the model.
  ///
  /// Tensor by tensor: beside what the device keeps, the host holds no more than a part of one.
  ///
  /// - Throws: `CheckpointError` for an unknown family, a missing or misshapen tensor, a broken file, weights beyond the
  ///   device's memory; `ComputeError` if the device has less left.
  public func load(on backend: any ComputeBackend, _ options: ModelOptions = ModelOptions()) throws
    -> any LanguageModel
  {
    let family = try ModelFamilies.family(configuration)
    let checkpoint = try Checkpoint(directory: url)
    try MemoryRequirement.check(
      checkpoint.keptBytes(options.isTrainable ? .f32 : options.precision), path: checkpoint.url.path,
      on: backend.device)
    return try family.make(configuration, on: backend, options, .checkpoint(checkpoint))
  }

  /// A model with random weights for a configuration.
  public static func initialize(
    _ configuration: ConfigurationFile, seed: UInt64, on backend: any ComputeBackend,
    _ options: ModelOptions = ModelOptions(isTrainable: true)
  ) throws -> any LanguageModel {
    try ModelFamilies.family(configuration).make(configuration, on: backend, options, .random(seed: seed))
  }

  /// The end tokens of `generation_config.json`, if there is one.
  public func generationEndTokens() throws -> [Int32] {
    let file = url.appendingPathComponent("generation_config.json")
    guard FileManager.default.fileExists(atPath: file.path) else { return [] }
    return try ConfigurationFile(url: file).identifiers("eos_token_id")
  }

  /// Writes a model so that `ModelDirectory` and transformers open it: weights in f32, configuration, companions.
  ///
  /// - Parameters:
  ///   - classifier: a classification head whose layers lie as `ClassifierLayout` has them; nil for none.
  ///   - companions: the folder or files to take tokenizer files from.
  ///   - directory: exists already.
  public static func save(
    _ model: any LanguageModel, classifier: SavedClassifier? = nil, configuration: ConfigurationFile, companions: URL,
    to directory: URL
  ) throws {
    // The classifier takes the place of what the model had, which may have other layers.
    let own = classifier?.parameters ?? []
    let replaced = Set((own + (classifier == nil ? [] : model.storedClassifier?.parameters ?? [])).map(\.name))
    let parameters = model.parameters.filter { !replaced.contains($0.name) } + own
    let items = parameters.map { SafetensorsWriter.Item(name: $0.name, tensor: $0.value, on: model.backend) }
    try SafetensorsWriter.write(items, to: directory.appendingPathComponent("model.safetensors"))
    for name in Self.companions {
      let source = companions.appendingPathComponent(name)
      guard FileManager.default.fileExists(atPath: source.path) else { continue }
      try AtomicFile.write(try CheckpointError.map(source), to: directory.appendingPathComponent(name))
    }
    let dtype = parameters.allSatisfy { $0.value.dtype == .bf16 || $0.shape.rank < 2 } ? "bfloat16" : "float32"
    var keys: [String: Any] = ["dtype": dtype]
    if let classifier { keys.merge(classifier.configuration) { $1 } }
    if configuration.keys.contains("torch_dtype") { keys["torch_dtype"] = dtype }
    try AtomicFile.write(
      try configuration.json(replacing: keys), to: directory.appendingPathComponent("config.json"))
  }
}
