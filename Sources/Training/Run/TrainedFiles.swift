import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning

/// What a run produces: files for others to use, from which training can also go on.
public protocol TrainedFiles: AnyObject {
  /// Writes the files into an existing folder, each whole or not at all.
  func write(to directory: URL) throws

  /// Writes what a run needs beside that to go on with the same bits.
  func writeState(to directory: URL) throws

  /// Takes the trained parameters back from a folder that `write` and `writeState` filled, bit for bit.
  func restore(from directory: URL) throws
}

extension TrainedFiles {
  public func writeState(to directory: URL) throws {}
}

/// The adapter of a trained prompt, the checkpoint of a trained model, or both; a head with either.
public final class PromptedModelFiles: TrainedFiles {
  private let task: TaskModel
  private let settings: AdapterSettings?
  private let origin: ModelOrigin

  /// - Parameters:
  ///   - settings: what else decides what the model reads and answers; kept beside the adapter.
  ///   - origin: where the base model comes from.
  public init(_ task: TaskModel, settings: AdapterSettings?, origin: ModelOrigin) {
    self.task = task
    self.settings = settings
    self.origin = origin
  }

  /// As above, for a model that writes text.
  public convenience init(_ prompted: PromptedModel, settings: AdapterSettings?, origin: ModelOrigin) {
    self.init(TaskModel(prompted), settings: settings, origin: origin)
  }

  private var prompted: PromptedModel { task.prompted }

  /// Whether weights of the model are trained, those of its head aside.
  private var trainsModel: Bool {
    let kept = Set(task.head.keptParameters.map(ObjectIdentifier.init))
    return prompted.model.parameters.contains { $0.isTrainable && !kept.contains(ObjectIdentifier($0)) }
  }

  public func write(to url: URL) throws {
    let modules = try task.keptModules()
    if trainsModel {
      if let file = origin.tokenizerFile {
        try AtomicFile.write(Data(contentsOf: file), to: url.appendingPathComponent("tokenizer.json"))
      }
      try SavedModule.writeOwn(modules, to: url)
      try ModelDirectory.save(
        prompted.model, classifier: classifier, configuration: origin.configuration, companions: origin.companions,
        to: url)
    }
    let (prompt, width) = (prompted.prompt, prompted.model.facts.embeddingWidth)
    let stored = try prompt.peftTensors(on: prompted.backend)
    let values: Adapter.PromptValues
    if let stored {
      values = stored.values(width: width)
    } else if !(prompt is NoPrompt) {
      values = Adapter.PromptValues(length: prompt.length, width: 0, values: [])
    } else if trainsModel {
      // A head or a template of a trained model is found beside its weights.
      if let settings, settings.head != nil { try settings.write(url) }
      return
    } else {
      // In-context learning: an adapter without virtual tokens holds the template and the demonstrations.
      values = Adapter.PromptValues(length: 0, width: width, values: [])
    }
    // Free rows are all there is; networks and whatever PEFT does not have lie in a file of our own.
    let isWhole =
      prompt is NoPrompt
      || (stored != nil && prompt.parameters.allSatisfy { PEFTPrompt.tensorNames.contains($0.name) })
    var adapter = Adapter(
      path: url.path, prompt: values, settings: settings, baseModel: origin.name, task: task.adapterTask,
      modules: modules, type: stored?.type ?? (prompt is NoPrompt ? .promptTuning : .own),
      parameters: isWhole ? nil : try PromptParameters(prompt, on: prompted.backend))
    adapter.taskFactors = stored?.taskFactors
    try adapter.write(to: url, facts: prompted.model.facts)
  }

  public func writeState(to url: URL) throws {
    guard prompted.prompt.needsFeatures else { return }
    try FeatureRecord.write(prompted.featureValues, width: prompted.model.facts.hiddenWidth, to: url)
  }

  /// A head that transformers knows, for a trained model's checkpoint.
  private var classifier: SavedClassifier? {
    guard let layout = task.head.layout else { return nil }
    return SavedClassifier(
      parameters: task.head.keptParameters, architecture: layout.architecture, labels: settings?.head?.labels ?? [])
  }

  public func restore(from url: URL) throws {
    if trainsModel {
      let checkpoint = try Checkpoint(directory: url)
      let own = Set(task.head.parameters.map(\.name))
      for parameter in prompted.model.parameters where parameter.isTrainable && !own.contains(parameter.name) {
        let stored = try checkpoint.load(
          parameter.name, shape: parameter.shape, precision: .f32, on: prompted.backend)
        try prompted.backend.copy(stored, to: parameter.value)
      }
    }
    try restoreHead(from: url)
    if prompted.prompt.needsFeatures {
      prompted.featureValues = try FeatureRecord.read(url, width: prompted.model.facts.hiddenWidth)
    }
    if let parameters = try PromptParameters(directory: url) {
      return try parameters.restore(prompted.prompt, path: url.path, on: prompted.backend)
    }
    for parameter in prompted.prompt.parameters {
      try SafetensorsFile(url: url.appendingPathComponent(Adapter.tensorsName))
        .restore(parameter.name, to: parameter.value, on: prompted.backend)
    }
  }

  private func restoreHead(from url: URL) throws {
    guard !task.head.keptParameters.isEmpty else { return }
    let adapter = url.appendingPathComponent(Adapter.tensorsName)
    let isOwn = task.head.layout == nil
    let isInModel = !isOwn && trainsModel
    let file = try SafetensorsFile(
      url: isOwn
        ? url.appendingPathComponent(SavedModule.fileName)
        : isInModel ? url.appendingPathComponent("model.safetensors") : adapter)
    for parameter in task.head.keptParameters {
      try file.restore(
        isOwn || isInModel ? parameter.name : SavedModule.prefix + parameter.name, to: parameter.value,
        on: prompted.backend)
    }
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
