import Autodiff
import Compute
import Foundation
import PromptTuning

/// The loss of an optimizer step's examples and its gradient.
struct StepGradient {
  /// Mean over all losses of the step (of target tokens, or of examples), however they are split into batches.
  let loss: Double
  /// Of each trainable parameter; nil where none reached it.
  let gradients: [Tensor?]

  /// Computes batch after batch, adding up the gradients.
  ///
  /// Each row's cotangent is one over the number of all losses, so that one counts the same in a short
  /// batch as in a long one.
  ///
  /// - Parameters:
  ///   - step: its number, on which random choices depend.
  ///   - recomputesLayers: keep no values inside the layers of the model.
  ///   - savings: what is left out.
  ///   - profile: told when the passes happened on the host, which need not wait for the device.
  init(
    _ objective: any Objective, _ batches: [[EncodedExample]], step: Int = 1, checksFiniteness: Bool = false,
    recomputesLayers: Bool = false, savings: ExactSavings = .all, profile: Profile? = nil
  ) throws {
    func phase<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
      guard let profile else { return try body() }
      return try profile.phase(name, body)
    }
    objective.begin(step: step)
    let backend = objective.backend
    let parameters = objective.trainableParameters
    let targets = batches.joined().reduce(0) { $0 + objective.lossCount(of: $1) }
    var sums: [Tensor?] = parameters.map { _ in nil }
    var isOwned = parameters.map { _ in false }
    var losses: [Tensor] = []
    for batch in batches {
      let tape = Tape(backend, checksFiniteness: checksFiniteness, recomputesLayers: recomputesLayers, savings: savings)
      let rows = try phase("forward") { try objective.losses(batch, on: tape) }
      let cotangent = try backend.allocate(rows.shape, .f32)
      try backend.fill(cotangent, with: Float(1 / Double(targets)))
      let gradients = try phase("backward") { try tape.gradients(of: rows, cotangent: cotangent) }
      for (index, parameter) in parameters.enumerated() {
        guard let part = gradients[parameter] else { continue }
        guard let sum = sums[index] else {
          sums[index] = part
          continue
        }
        // The first part may share its memory with another gradient; sums are formed in memory of their own.
        if isOwned[index] {
          try backend.addScaled(part, 1, onto: sum)
        } else {
          sums[index] = try backend.add(sum, part)
          isOwned[index] = true
        }
      }
      losses.append(rows.value)
    }
    gradients = sums
    // Read after everything was asked for, so that the device is waited for once.
    let total = try phase("loss") { try losses.reduce(0) { $0 + (try backend.sum($1)) } }
    loss = total / Double(targets)
  }

  private init(loss: Double, gradients: [Tensor?]) {
    self.loss = loss
    self.gradients = gradients
  }

  /// The Euclidean norm of all gradients together.
  func norm(on backend: any ComputeBackend) throws -> Double {
    try gradients.reduce(0) { $0 + (try $1.map { $0.isEmpty ? 0 : try backend.sumOfSquares($0) } ?? 0) }.squareRoot()
  }

  /// The gradient scaled down so that its norm is at most `limit`, as PyTorch's `clip_grad_norm_` does it.
  func clipped(norm: Double, to limit: Double, on backend: any ComputeBackend) throws -> StepGradient {
    let factor = limit / (norm + 1e-6)
    guard limit > 0, factor < 1 else { return self }
    return StepGradient(
      loss: loss, gradients: try gradients.map { try $0.map { try backend.scale($0, by: Float(factor)) } })
  }
}
