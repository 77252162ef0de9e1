import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning

/// What a run produces: files for others to use, from which training can also go on.
public protocol TrainedFiles: AnyObject {
  /// Writes the files into an existing folder, each whole or not at all.
  func write(to directory: URL) throws

  /// Takes the trained parameters back from a folder that `write` filled, bit for bit.
  func restore(from directory: URL) throws
}

/// The adapter of a trained prompt, the checkpoint of a trained model, or both.
public final class PromptedModelFiles: TrainedFiles {
  private let prompted: PromptedModel
  private let settings: AdapterSettings?
  private let origin: ModelOrigin

  /// - Parameters:
  ///   - settings: what else decides what the model reads; kept beside the adapter.
  ///   - origin: where the base model comes from.
  public init(_ prompted: PromptedModel, settings: AdapterSettings?, origin: ModelOrigin) {
    self.prompted = prompted
    self.settings = settings
    self.origin = origin
  }

  private var trainsModel: Bool { prompted.model.parameters.contains { $0.isTrainable } }

  public func write(to url: URL) throws {
    if trainsModel {
      if let file = origin.tokenizerFile {
        try AtomicFile.write(Data(contentsOf: file), to: url.appendingPathComponent("tokenizer.json"))
      }
      try ModelDirectory.save(
        prompted.model, configuration: origin.configuration, companions: origin.companions, to: url)
    }
    let values: Adapter.PromptValues
    if let prompt = prompted.prompt as? StaticPrompt {
      values = Adapter.PromptValues(
        length: prompt.length, width: prompt.embeddings.shape.columns,
        values: try prompted.backend.values(prompt.embeddings.value))
    } else if trainsModel {
      return
    } else {
      // In-context learning: an adapter without virtual tokens holds the template and the demonstrations.
      values = Adapter.PromptValues(length: 0, width: prompted.model.facts.embeddingWidth, values: [])
    }
    try Adapter(path: url.path, prompt: values, settings: settings, baseModel: origin.name)
      .write(to: url, facts: prompted.model.facts)
  }

  public func restore(from url: URL) throws {
    if trainsModel {
      let checkpoint = try Checkpoint(directory: url)
      for parameter in prompted.model.parameters where parameter.isTrainable {
        let stored = try checkpoint.load(
          parameter.name, shape: parameter.shape, precision: .f32, on: prompted.backend)
        try prompted.backend.copy(stored, to: parameter.value)
      }
    }
    guard let prompt = prompted.prompt as? StaticPrompt else { return }
    try SafetensorsFile(url: url.appendingPathComponent(Adapter.tensorsName))
      .restore(StaticPrompt.tensorName, to: prompt.embeddings.value, on: prompted.backend)
  }
}

/// What a saved model or adapter says about the model it came from.
public struct ModelOrigin {
  /// How the model was named when the run started.
  public var name: String
  public var configuration: ConfigurationFile
  /// The folder to take tokenizer files from.
  public var companions: URL
  /// A tokenizer under a name of its own, to be kept as `tokenizer.json`.
  public var tokenizerFile: URL?

  public init(name: String, configuration: ConfigurationFile, companions: URL, tokenizerFile: URL? = nil) {
    self.name = name
    self.configuration = configuration
    self.companions = companions
    self.tokenizerFile = tokenizerFile
  }
}
