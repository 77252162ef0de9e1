import Autodiff

/// How parameters are updated.
public enum OptimizerKind: String, Sendable, Hashable, Codable, CaseIterable {
  /// Loshchilov and Hutter, 2019.
  case adamw
  /// Shazeer and Stern, 2018.
  case adafactor
  /// Stochastic gradient descent, with or without momentum.
  case sgd
}

/// What Adafactor has beside a learning rate and weight decay.
public struct AdafactorOptions: Sendable, Hashable, Codable {
  /// The second moments' decay is `1 - step^-decay`.
  public var decay = 0.8
  /// Added to squared gradients.
  public var gradientEpsilon = 1e-30
  /// The least root-mean-square of a parameter, where steps are scaled by it.
  public var parameterEpsilon = 1e-3
  /// The largest root-mean-square of an update.
  public var clipThreshold = 1.0
  /// Steps are multiplied by the root-mean-square of the parameter.
  public var scalesByParameter = true

  public init() {}
}

/// How a run goes: batches, optimizer, schedule, how often things happen, when it ends.
public struct TrainingOptions: Sendable, Hashable, Codable {
  /// How long a run is.
  public enum Length: Sendable, Hashable, Codable {
    /// Optimizer steps.
    case steps(Int)
    /// Passes over the data.
    case epochs(Int)
  }

  // MARK: - Batches

  /// Examples that are computed together.
  public var batchSize = 8
  /// Keep of each layer of the model what it reads alone, and compute the rest again in the backward pass.
  public var recomputesLayers = false
  /// Work that is left out because no result depends on it.
  public var savings = ExactSavings.all
  /// Batches whose gradients are added up before a step.
  public var accumulate = 1
  public var length = Length.epochs(1)
  /// Another order of the examples in every epoch; else the order of the file.
  public var shuffles = true
  /// For everything drawn at random.
  public var seed: UInt64 = 0

  // MARK: - Optimizer

  public var optimizer = OptimizerKind.adamw
  public var learningRate = 1e-3
  public var beta1 = 0.9
  public var beta2 = 0.999
  public var epsilon = 1e-8
  public var weightDecay = 0.0
  /// Of stochastic gradient descent.
  public var momentum = 0.0
  public var adafactor = AdafactorOptions()
  public var schedule = LearningRateSchedule.Shape.constant
  /// Steps over which the rate rises from 0.
  public var warmupSteps = 0
  /// The largest norm of the gradient of all trained parameters together; 0 for no limit.
  public var clipNorm = 0.0

  // MARK: - Reports and ends

  /// Steps between lines of the log.
  public var logEvery = 10
  /// Steps between validations; 0 for none but the first and the last.
  public var validateEvery = 0
  /// What the best state is chosen by.
  public var bestMetric = BestMetric.loss
  /// Validations that are no better after which the run ends; 0 for no such end.
  public var patience = 0
  /// Whole checkpoints that are kept, `last` among them.
  public var keep = 1
  /// Steps between checkpoints; 0 for none but the last.
  public var saveEvery = 100
  /// Seconds after which the run ends, finishing the step; 0 for no limit.
  public var timeLimit = 0.0

  public init() {}

  /// Optimizer steps in one pass over `count` examples; the last one may be smaller.
  public func stepsPerEpoch(examples count: Int) -> Int {
    (count + batchSize * accumulate - 1) / (batchSize * accumulate)
  }

  /// Optimizer steps in the whole run.
  public func totalSteps(examples count: Int) -> Int {
    switch length {
    case .steps(let steps): steps
    case .epochs(let epochs): epochs * stepsPerEpoch(examples: count)
    }
  }
}
