/// What happens during a run, in order.
public enum TrainingEvent: Sendable {
  /// The run goes on after so many steps.
  case resumed(step: Int, of: Int)
  /// From this step on values inside the layers are computed again for the gradient, because memory is too short to
  /// keep them.
  case recomputing(step: Int, reason: String)
  /// A step is done.
  case step(StepReport)
  /// A validation is done.
  case validation(ValidationReport)
}

/// One optimizer step.
public struct StepReport: Sendable, Hashable {
  /// From 1.
  public var step: Int
  public var totalSteps: Int
  /// Passes over the data, as a fraction.
  public var epochs: Double
  /// Before the update: mean over the target tokens of the step.
  public var loss: Double
  /// Target and end tokens of the step, or its examples where a head answers once for each.
  public var targetTokens: Int
  public var learningRate: Double
  /// Before clipping.
  public var gradientNorm: Double
  /// Input, target and end tokens a second since the last logged step, validations and saving not counted.
  public var tokensPerSecond: Double
  /// Further numbers by name.
  public var metrics: [MetricsLine.Field]
  /// Whether it has a line in the log.
  public var isLogged: Bool

  /// Its line in `metrics.jsonl`.
  public var line: MetricsLine {
    MetricsLine(
      [
        .init("step", .integer(step)), .init("loss", .number(loss)), .init("tokens", .integer(targetTokens)),
        .init("learning_rate", .number(learningRate)), .init("gradient_norm", .number(gradientNorm)),
        .init("tokens_per_second", .number(tokensPerSecond)),
      ] + metrics)
  }
}

/// One validation.
public struct ValidationReport: Sendable, Hashable {
  /// Steps that were done before; 0 before training.
  public var step: Int
  public var totalSteps: Int
  /// Mean over all target tokens of the validation data.
  public var loss: Double
  /// Further metrics by name.
  public var metrics: [MetricsLine.Field]
  /// It is the best so far.
  public var isBest: Bool
  public var seconds: Double

  /// Its line in `metrics.jsonl`.
  public var line: MetricsLine {
    MetricsLine([.init("step", .integer(step)), .init("validation_loss", .number(loss))] + metrics)
  }
}

/// How a run ended.
public struct TrainingOutcome: Sendable, Hashable {
  public enum Reason: String, Sendable, Hashable {
    /// All steps are done.
    case completed
    /// No better validation for as many times as patience allows.
    case patience
    case timeLimit
    /// Interrupted; `last/` is written and the run can be resumed.
    case interrupted
  }

  public var reason: Reason
  /// Steps that are done, over all sittings.
  public var step: Int
  public var totalSteps: Int
  /// Validation loss before training, where there was one in this sitting.
  public var initialValidationLoss: Double?
  public var best: TrainingState.Best?
  /// The last step's loss, before its update; nil if no step was done.
  public var loss: Double?
  /// Mean input, target and end tokens a second of this sitting's steps.
  public var tokensPerSecond: Double
  public var elapsedSeconds: Double
}
