import Compute
import Foundation

extension OpenCLBackend {
  private static let file = "optimizers.cl"

  public func adamW(
    _ step: AdamWStep, parameter: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor
  ) throws {
    let correction1 = 1 - pow(Double(step.beta1), Double(step.step))
    let correction2 = 1 - pow(Double(step.beta2), Double(step.step))
    let rate = Double(step.learningRate)
    try runBlocks(
      Self.file, "adamw", count: parameter.count,
      [
        .tensor(parameter), .tensor(gradient), .tensor(firstMoment), .tensor(secondMoment),
        .float(Float(1 - rate * Double(step.weightDecay))), .float(step.beta1), .float(Float(1 - Double(step.beta1))),
        .float(step.beta2), .float(Float(1 - Double(step.beta2))), .float(Float(rate / correction1)),
        .float(Float(1 / correction2.squareRoot())), .float(step.epsilon),
      ])
  }

  public func sgd(
    learningRate: Float, momentum: Float, weightDecay: Float, parameter: Tensor, gradient: Tensor, velocity: Tensor?
  ) throws {
    if let velocity {
      try runBlocks(
        Self.file, "sgd_momentum", count: parameter.count,
        [
          .tensor(parameter), .tensor(gradient), .tensor(velocity), .float(learningRate), .float(weightDecay),
          .float(momentum),
        ])
    } else {
      try runBlocks(
        Self.file, "sgd", count: parameter.count,
        [.tensor(parameter), .tensor(gradient), .float(learningRate), .float(weightDecay)])
    }
  }

  public func adafactor(_ step: AdafactorStep, parameter: Tensor, gradient: Tensor, moments: AdafactorMoments) throws {
    let beta = 1 - pow(Double(step.step), -Double(step.decay))
    let decay: [KernelArgument] = [.float(Float(beta)), .float(Float(1 - beta)), .float(step.gradientEpsilon)]
    let update = try allocate(gradient.shape, .f32)
    switch moments {
    case .factored(let rows, let columns):
      try runRows(
        Self.file, "adafactor_rows", rows: gradient.rowCount,
        [.tensor(gradient), .tensor(rows)] + decay + [.size(gradient.rowCount), .int(gradient.columnCount)])
      let squares = try allocate(columns.shape, .f32)
      try columnSums(.square, gradient, into: squares)
      try runBlocks(
        Self.file, "adafactor_columns", count: columns.count,
        [.tensor(squares), .tensor(columns)] + decay + [.float(Float(gradient.rowCount))])
      let rowMean = try sum(rows) / Double(rows.count)
      try runRows(
        Self.file, "adafactor_factored", rows: gradient.rowCount,
        [
          .tensor(gradient), .tensor(rows), .tensor(columns), .float(Float(rowMean)), .tensor(update),
          .size(gradient.rowCount), .int(gradient.columnCount),
        ])
    case .full(let all):
      try runBlocks(
        Self.file, "adafactor_full", count: gradient.count,
        [.tensor(gradient), .tensor(all)] + decay + [.tensor(update)])
    }
    func rms(_ x: Tensor) throws -> Double { (try sumOfSquares(x) / Double(x.count)).squareRoot() }
    let clip = max(1, try rms(update) / Double(step.clipThreshold))
    var rate = Double(step.learningRate)
    if step.scalesByParameter { rate *= max(Double(step.parameterEpsilon), try rms(parameter)) }
    try runBlocks(
      Self.file, "adafactor_apply", count: parameter.count,
      [
        .tensor(parameter), .tensor(update), .float(Float(rate / clip)),
        .float(Float(rate * Double(step.weightDecay))),
      ])
  }
}
