import Autodiff
import Compute
import Foundation
import LanguageModels
import PromptTuning

/// Trains whatever an objective says, and keeps a run's folder.
///
/// What a run computes follows from its options, its data and its starting point alone: a run that is stopped at any
/// moment and resumed ends with the same bits as one that was not, on the same device.
public final class Trainer {
  /// Further numbers for a validation's line.
  public typealias ExtraMetrics = (Validation) throws -> [MetricsLine.Field]

  public let objective: any Objective
  public let data: any TrainingData
  public let validation: (any TrainingData)?
  public let options: TrainingOptions
  public let totalSteps: Int
  /// Called after each validation.
  public var extraMetrics: ExtraMetrics?
  /// Asked between steps and between batches of a validation; true ends the run after the step in progress.
  public var isInterrupted: () -> Bool = { false }
  public var onEvent: (TrainingEvent) -> Void = { _ in }
  /// Told when which part of the run happened; nil for no profile.
  public var profile: Profile?

  private let schedule: LearningRateSchedule
  private var order: DataOrder
  /// Asked for, or found necessary.
  private var recomputesLayers: Bool

  /// Where nothing is trainable (in-context learning), a run takes no steps: it validates and writes its files.
  public init(
    _ objective: any Objective, data: any TrainingData, validation: (any TrainingData)? = nil, options: TrainingOptions
  ) {
    self.objective = objective
    self.data = data
    self.validation = validation
    self.options = options
    totalSteps = objective.trainableParameters.isEmpty ? 0 : options.totalSteps(examples: data.count)
    schedule = LearningRateSchedule(
      shape: options.schedule, peak: options.learningRate, warmupSteps: options.warmupSteps, totalSteps: totalSteps)
    order = DataOrder(count: data.count, mixture: data.mixture, options: options)
    recomputesLayers = options.recomputesLayers
  }

  /// - Throws: `TrainingError.output` if a state was made with other data or another seed.
  public func check(_ state: TrainingState, in folder: RunFolder) throws {
    func refuse(_ reason: String) -> TrainingError { .output(path: folder.url.path, reason: reason) }
    guard state.examples == data.count, state.fingerprint == data.fingerprint else {
      throw refuse("its run was trained on other data (\(state.examples) examples) than this (\(data.count))")
    }
    guard state.seed == options.seed else { throw refuse("its run has the seed \(state.seed), not \(options.seed)") }
  }

  /// Runs to the end, until time or patience is up, or until it is interrupted.
  ///
  /// - Parameters:
  ///   - folder: where the run is kept; it is created or resumed.
  ///   - files: what is written there.
  ///   - configuration: the text of `config.yaml`.
  /// - Throws: `TrainingError.zeroGradient`, `.nonFinite`, `.unwritable`, `.output`; errors of data, model and device.
  ///   `last/` is whole whatever is thrown.
  public func run(in folder: RunFolder, files: any TrainedFiles, configuration: String) throws -> TrainingOutcome {
    if let state = try folder.resumableState() { try check(state, in: folder) }
    let optimizer = try Optimizer(options, parameters: objective.trainableParameters, on: objective.backend)
    let previous = try folder.open(configuration: configuration)
    if let previous {
      try folder.restore(files, optimizer)
      onEvent(.resumed(step: previous.step, of: totalSteps))
    }
    let sitting = Sitting(
      folder, files, optimizer,
      previous ?? TrainingState(seed: options.seed, examples: data.count, fingerprint: data.fingerprint),
      savedStep: previous?.step)
    let reason = try train(sitting)
    if reason != .interrupted { try folder.export() }
    return sitting.outcome(reason, totalSteps: totalSteps)
  }

  private func train(_ sitting: Sitting) throws -> TrainingOutcome.Reason {
    var reason = TrainingOutcome.Reason.completed
    // The first validation, or one that an interrupt kept from happening.
    if sitting.state.validatedStep == nil || isValidationDue(sitting.state),
      try validate(sitting) == .interrupted
    {
      reason = .interrupted
    }
    while reason == .completed, sitting.state.step < totalSteps {
      if options.patience > 0, sitting.state.validationsWithoutGain >= options.patience {
        reason = .patience
      } else if isInterrupted() {
        reason = .interrupted
      } else if options.timeLimit > 0, sitting.elapsedSeconds >= options.timeLimit {
        reason = .timeLimit
      } else {
        try phase("step \(sitting.state.step + 1)") { try step(sitting) }
        if isValidationDue(sitting.state), !isInterrupted() {
          if try validate(sitting) == .interrupted { reason = .interrupted }
        }
        if options.saveEvery > 0, sitting.state.step % options.saveEvery == 0 {
          try phase("save") { try sitting.save(keep: options.keep) }
        }
      }
    }
    if reason != .interrupted, sitting.state.validatedStep != sitting.state.step,
      try validate(sitting) == .interrupted
    {
      reason = .interrupted
    }
    try phase("save") { try sitting.save(keep: options.keep) }
    return reason
  }

  /// Runs a part of the run under its name in the profile, if there is one.
  private func phase<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
    guard let profile else { return try body() }
    return try profile.phase(name, body)
  }

  private func isValidationDue(_ state: TrainingState) -> Bool {
    guard validation != nil, options.validateEvery > 0, state.step > 0 else { return false }
    return state.step % options.validateEvery == 0 && state.validatedStep != state.step
  }

  // MARK: - One step

  private func step(_ sitting: Sitting) throws {
    let clock = ContinuousClock()
    let start = clock.now
    let number = sitting.state.step + 1
    let batches = try phase("batch") { try self.batches(ofStep: number) }
    let rate = schedule.rate(step: number)
    let (loss, norm) = try update(number, batches, rate: rate, sitting.optimizer)
    let examples = batches.joined()
    sitting.state.step = number
    sitting.state.epoch = number / order.stepsPerEpoch
    sitting.state.position = number % order.stepsPerEpoch == 0 ? 0 : order.position(afterStep: number)
    sitting.add(
      tokens: examples.reduce(0) { $0 + $1.tokenCount }, seconds: (clock.now - start).seconds, loss: loss)
    let isLogged = number % options.logEvery == 0 || number == totalSteps
    let report = StepReport(
      step: number, totalSteps: totalSteps, epochs: Double(number) / Double(order.stepsPerEpoch), loss: loss,
      targetTokens: examples.reduce(0) { $0 + objective.lossCount(of: $1) }, learningRate: rate, gradientNorm: norm,
      tokensPerSecond: sitting.tokensPerSecond, metrics: objective.metrics(ofStep: number), isLogged: isLogged)
    if isLogged {
      try sitting.folder.metrics?.append(report.line)
      sitting.resetRate()
    }
    onEvent(.step(report))
  }

  func batches(ofStep number: Int) throws -> [[EncodedExample]] {
    let epoch = order.epoch(ofStep: number)
    return try order.batches(ofStep: number).map { try $0.map { try data.example($0, epoch: epoch) } }
  }

  /// Computes the gradient and updates the parameters.
  ///
  /// - Returns: the loss before the update and the gradient's norm before clipping.
  func update(_ number: Int, _ batches: [[EncodedExample]], rate: Double, _ optimizer: Optimizer) throws
    -> (loss: Double, norm: Double)
  {
    let backend = objective.backend
    let gradient = try gradient(number, batches)
    let norm = try phase("norm") { try gradient.norm(on: backend) }
    guard gradient.loss.isFinite, norm.isFinite else {
      throw NonFiniteSearch.explain(step: number, objective: objective, batches, loss: gradient.loss, norm: norm)
    }
    if number == 1, norm == 0 {
      throw TrainingError.zeroGradient(parameters: objective.trainableParameters.map(\.name))
    }
    try phase("optimizer") {
      let clipped = try gradient.clipped(norm: norm, to: options.clipNorm, on: backend)
      try optimizer.step(number, learningRate: rate, gradients: clipped.gradients)
    }
    return (gradient.loss, norm)
  }

  /// Keeps no values inside the layers from the first step on for which the device's memory is too short otherwise: the
  /// gradient has the same bits, and takes longer.
  private func gradient(_ number: Int, _ batches: [[EncodedExample]]) throws -> StepGradient {
    func compute() throws -> StepGradient {
      try StepGradient(objective, batches, step: number, recomputesLayers: recomputesLayers, profile: profile)
    }
    do {
      return try compute()
    } catch ComputeError.outOfMemory(let device, let requested, let detail) where !recomputesLayers {
      recomputesLayers = true
      onEvent(
        .recomputing(
          step: number, reason: "\(ComputeError.outOfMemory(device: device, requested: requested, detail: detail))"))
    }
    return try compute()
  }

  // MARK: - Validation

  private enum ValidationEnd {
    case done
    case interrupted
  }

  private func validate(_ sitting: Sitting) throws -> ValidationEnd {
    guard let validation else {
      sitting.state.validatedStep = sitting.state.step
      return .done
    }
    let clock = ContinuousClock()
    let start = clock.now
    let step = sitting.state.step
    let found = try phase("validation") {
      try Validation.of(
        validation, under: objective, batchSize: options.batchSize, step: step, isInterrupted: isInterrupted)
    }
    guard let found else { return .interrupted }
    let loss = found.loss
    let metrics = try extraMetrics?(found) ?? []
    let score = options.bestMetric.score(loss: loss, metrics: metrics)
    let isBest =
      sitting.state.best.map { best in
        let known = options.bestMetric == .loss ? -best.loss : best.score ?? -.infinity
        return score > known || (score == known && loss < best.loss)
      } ?? true
    sitting.state.validatedStep = step
    if step == 0 { sitting.initialValidationLoss = loss }
    let report = ValidationReport(
      step: step, totalSteps: totalSteps, loss: loss, metrics: metrics, isBest: isBest,
      seconds: (clock.now - start).seconds)
    try sitting.folder.metrics?.append(report.line)
    if isBest {
      let best = TrainingState.Best(
        step: step, loss: loss, score: options.bestMetric == .loss || !score.isFinite ? nil : score)
      sitting.state.best = best
      sitting.state.validationsWithoutGain = 0
      try sitting.folder.saveBest(best, sitting.files)
      // Both states belong together: a run that goes on from an older one finds this best again by itself.
      if step > 0 { try sitting.save(keep: options.keep) }
    } else {
      sitting.state.validationsWithoutGain += 1
    }
    onEvent(.validation(report))
    return .done
  }
}

/// What one sitting of a run carries along.
private final class Sitting {
  let folder: RunFolder
  let files: any TrainedFiles
  let optimizer: Optimizer
  var state: TrainingState
  var initialValidationLoss: Double?
  private var loss: Double?
  private let earlierSeconds: Double
  private let start = ContinuousClock().now
  private var savedState: TrainingState?
  private var recent = (tokens: 0, seconds: 0.0)
  private var total = (tokens: 0, seconds: 0.0)

  init(
    _ folder: RunFolder, _ files: any TrainedFiles, _ optimizer: Optimizer, _ state: TrainingState, savedStep: Int?
  ) {
    self.folder = folder
    self.files = files
    self.optimizer = optimizer
    self.state = state
    savedState = savedStep == nil ? nil : state
    earlierSeconds = state.elapsedSeconds
  }

  /// Of this sitting.
  var elapsedSeconds: Double { (ContinuousClock().now - start).seconds }

  func add(tokens: Int, seconds: Double, loss: Double) {
    self.loss = loss
    recent = (recent.tokens + tokens, recent.seconds + seconds)
    total = (total.tokens + tokens, total.seconds + seconds)
  }

  var tokensPerSecond: Double { recent.seconds > 0 ? Double(recent.tokens) / recent.seconds : 0 }

  func resetRate() { recent = (0, 0) }

  /// Writes `last/` unless it is there already.
  func save(keep: Int) throws {
    state.metricsBytes = folder.metrics?.byteCount ?? 0
    guard savedState != state else { return }
    state.elapsedSeconds = earlierSeconds + elapsedSeconds
    try folder.saveLast(state, files, optimizer, keep: keep)
    savedState = state
  }

  func outcome(_ reason: TrainingOutcome.Reason, totalSteps: Int) -> TrainingOutcome {
    TrainingOutcome(
      reason: reason, step: state.step, totalSteps: totalSteps, initialValidationLoss: initialValidationLoss,
      best: state.best, loss: loss, tokensPerSecond: total.seconds > 0 ? Double(total.tokens) / total.seconds : 0,
      elapsedSeconds: elapsedSeconds)
  }
}

extension Duration {
  /// Seconds as a number.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
