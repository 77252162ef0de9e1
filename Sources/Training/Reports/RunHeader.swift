import Compute
import LanguageModels
import PromptTuning

/// What a run is made of, for the lines before its first step.
public struct RunHeader: Sendable {
  public var device: DeviceDescription
  /// The model as it was named.
  public var model: String
  public var modelType: String
  /// All numbers of model and prompt.
  public var parameters: Int
  public var trainableParameters: Int
  /// What the examples are, in words.
  public var data: String
  public var validation: String?
  public var recipe: String
  /// Steps of the whole run.
  public var totalSteps: Int

  public init(
    _ task: TaskModel, model: String, data: String, validation: String?, options: TrainingOptions,
    totalSteps: Int
  ) {
    device = task.backend.device
    self.model = model
    modelType = task.prompted.model.facts.modelType
    parameters = task.parameters.reduce(0) { $0 + $1.count }
    trainableParameters = task.trainableParameters.reduce(0) { $0 + $1.count }
    self.data = data
    self.validation = validation
    recipe = Self.recipe(options)
    self.totalSteps = totalSteps
  }

  private static func recipe(_ options: TrainingOptions) -> String {
    var parts = ["\(options.optimizer.rawValue), rate \(options.learningRate) \(options.schedule.rawValue)"]
    if options.warmupSteps > 0 { parts.append("\(options.warmupSteps) warm-up steps") }
    if options.weightDecay > 0 { parts.append("weight decay \(options.weightDecay)") }
    if options.clipNorm > 0 { parts.append("clipped at \(options.clipNorm)") }
    parts.append(
      "batches of \(options.batchSize)" + (options.accumulate > 1 ? " times \(options.accumulate)" : ""))
    parts.append(options.shuffles ? "seed \(options.seed)" : "file order, seed \(options.seed)")
    return parts.joined(separator: ", ")
  }

  /// The lines, `name  value`.
  public var lines: [String] {
    let share = 100 * Double(trainableParameters) / Double(max(1, parameters))
    var rows = [
      ("device", "\(device.id) (\(device.name))"), ("model", "\(model) (\(modelType), \(parameters) parameters)"),
      ("trainable", "\(trainableParameters) parameters, \(Readable.fixed(share, 4)) %"), ("data", data),
    ]
    if let validation { rows.append(("validation", validation)) }
    rows += [("recipe", recipe), ("steps", "\(totalSteps)")]
    return rows.map { $0.0.padding(toLength: 11, withPad: " ", startingAt: 0) + $0.1 }
  }
}
