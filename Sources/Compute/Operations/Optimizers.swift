/// One step of AdamW (Loshchilov and Hutter, 2019), as PyTorch computes it.
public struct AdamWStep: Hashable, Sendable {
  public var learningRate: Float
  public var beta1: Float
  public var beta2: Float
  public var epsilon: Float
  public var weightDecay: Float
  /// Counted from 1.
  public var step: Int

  public init(
    learningRate: Float, beta1: Float = 0.9, beta2: Float = 0.999, epsilon: Float = 1e-8, weightDecay: Float = 0,
    step: Int
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.step = step
  }
}

/// One step of Adafactor (Shazeer and Stern, 2018), without first moment.
public struct AdafactorStep: Hashable, Sendable {
  /// The relative step `rho` if `scalesByParameter`, else the step itself.
  public var learningRate: Float
  /// `beta2(t) = 1 - t^-decay`.
  public var decay: Float
  /// `epsilon1`, added to squared gradients.
  public var gradientEpsilon: Float
  /// `epsilon2`, the least root-mean-square of a parameter when `scalesByParameter`.
  public var parameterEpsilon: Float
  /// The largest root-mean-square of an update.
  public var clipThreshold: Float
  public var weightDecay: Float
  /// The step is multiplied by `max(epsilon2, rms(parameter))`.
  public var scalesByParameter: Bool
  /// Counted from 1.
  public var step: Int

  public init(
    learningRate: Float, decay: Float = 0.8, gradientEpsilon: Float = 1e-30, parameterEpsilon: Float = 1e-3,
    clipThreshold: Float = 1, weightDecay: Float = 0, scalesByParameter: Bool = true, step: Int
  ) {
    self.learningRate = learningRate
    self.decay = decay
    self.gradientEpsilon = gradientEpsilon
    self.parameterEpsilon = parameterEpsilon
    self.clipThreshold = clipThreshold
    self.weightDecay = weightDecay
    self.scalesByParameter = scalesByParameter
    self.step = step
  }
}

/// The second moments that Adafactor keeps for one parameter.
public enum AdafactorMoments {
  /// Of a matrix `[r, c]`: the mean over each row `[r]` and over each column `[c]`.
  case factored(rows: Tensor, columns: Tensor)
  /// Of anything else: one per element.
  case full(Tensor)
}

/// Optimizer steps, in place on one parameter.
public protocol OptimizerKernels: AnyObject {
  /// `p *= 1 - rate decay; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;` `p -= rate / (1 - b1^t) m / (sqrt(v) /
  /// sqrt(1 - b2^t) + epsilon)`.
  ///
  /// The powers are computed in Double.
  func adamW(_ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor) throws

  /// With `b = 1 - step^-decay` and `s = g^2 + epsilon1`: factored: `R = b R + (1 - b) rowMeans(s); C = b C + (1 - b)
  /// columnMeans(s);` `u = g / sqrt(R C' / mean(R))`; full: `V = b V + (1 - b) s; u = g / sqrt(V)`.
  ///
  /// Then `u /= max(1, rms(u) / clipThreshold)`, `a = rate (times max(epsilon2, rms(p)) if it scales)`,
  /// `p -= a (u + decay p)`, as in transformers.
  func adafactor(_ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments) throws

  /// `g += decay p; velocity = momentum velocity + g; p -= rate velocity`; without velocity `p -= rate g`.
  func sgd(
    learningRate: Float, momentum: Float, weightDecay: Float, parameter: Tensor, gradient: Tensor, velocity: Tensor?)
    throws
}

extension ComputeBackend {
  /// One AdamW step on a parameter, in place; gradient and moments have its shape.
  ///
  /// - Throws: `ComputeError` for shapes, types or attributes that do not fit.
  public func stepAdamW(
    _ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor
  ) throws {
    try requireUpdate(parameter, gradient, states: [firstMoment, secondMoment], "adamW")
    try requireStep(step.step, "adamW")
    for beta in [step.beta1, step.beta2] {
      guard beta >= 0, beta < 1 else {
        throw ComputeError.invalidArgument(operation: "adamW", "beta \(beta) is outside 0..<1")
      }
    }
    guard !parameter.isEmpty else { return }
    try adamW(step, parameter: parameter, gradient: gradient, firstMoment: firstMoment, secondMoment: secondMoment)
  }

  /// One step of stochastic gradient descent on a parameter, in place; gradient and velocity have its shape.
  ///
  /// - Throws: `ComputeError` for shapes or types that do not fit.
  public func stepSGD(
    learningRate: Float, momentum: Float = 0, weightDecay: Float = 0, parameter: Tensor, gradient: Tensor,
    velocity: Tensor? = nil
  ) throws {
    try requireUpdate(parameter, gradient, states: velocity.map { [$0] } ?? [], "sgd")
    guard !parameter.isEmpty else { return }
    try sgd(
      learningRate: learningRate, momentum: momentum, weightDecay: weightDecay, parameter: parameter,
      gradient: gradient, velocity: velocity)
  }

  /// One Adafactor step on a parameter, in place.
  ///
  /// - Parameters:
  ///   - gradient: the shape of the parameter.
  ///   - moments: factored, of a matrix `[r, c]`: `[r]` and `[c]`; full: the shape of the parameter.
  /// - Throws: `ComputeError` for shapes, types or attributes that do not fit.
  public func stepAdafactor(_ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments)
    throws
  {
    try requireStep(step.step, "adafactor")
    switch moments {
    case .full(let all): try requireUpdate(parameter, gradient, states: [all], "adafactor")
    case .factored(let rows, let columns):
      try requireUpdate(parameter, gradient, states: [], "adafactor")
      guard parameter.shape.rank == 2 else {
        throw ComputeError.invalidArgument(
          operation: "adafactor", "factored moments belong to a matrix, not to a tensor \(parameter.shape)")
      }
      try require(rows, .f32, "adafactor", "the row moments")
      try require(columns, .f32, "adafactor", "the column moments")
      try requireShape(rows, [parameter.shape[0]], "adafactor")
      try requireShape(columns, [parameter.shape[1]], "adafactor")
    }
    guard !parameter.isEmpty else { return }
    try adafactor(step, parameter: parameter, gradient: gradient, moments: moments)
  }

  private func requireStep(_ step: Int, _ operation: String) throws {
    guard step >= 1 else {
      throw ComputeError.invalidArgument(operation: operation, "step \(step); steps are counted from 1")
    }
  }

  private func requireUpdate(_ parameter: Tensor, _ gradient: Tensor, states: [Tensor], _ operation: String) throws {
    try require(parameter, .f32, operation, "the parameter")
    try require(gradient, .f32, operation, "the gradient")
    try requireSameShape(parameter, gradient, operation)
    for state in states {
      try require(state, .f32, operation, "an optimizer state")
      try requireSameShape(parameter, state, operation)
    }
  }
}
