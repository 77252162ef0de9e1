import Foundation

/// The learning rate of every step, with the values of transformers' schedules of the same names.
public struct LearningRateSchedule: Sendable, Hashable {
  /// The course after the warm-up.
  public enum Shape: String, Sendable, Hashable, Codable, CaseIterable {
    case constant
    /// Falls to 0 at the end in a straight line.
    case linear
    /// Falls to 0 at the end along half a cosine (Loshchilov and Hutter, 2017).
    case cosine
  }

  public var shape: Shape
  /// The rate after the warm-up.
  public var peak: Double
  /// Steps over which the rate rises from 0 in a straight line.
  public var warmupSteps: Int
  /// Steps of the whole run.
  public var totalSteps: Int

  public init(shape: Shape, peak: Double, warmupSteps: Int, totalSteps: Int) {
    self.shape = shape
    self.peak = peak
    self.warmupSteps = warmupSteps
    self.totalSteps = totalSteps
  }

  /// The rate of a step, counted from 1.
  public func rate(step: Int) -> Double { peak * factor(completed: step - 1) }

  private func factor(completed: Int) -> Double {
    if completed < warmupSteps { return Double(completed) / Double(max(1, warmupSteps)) }
    switch shape {
    case .constant: return 1
    case .linear: return max(0, Double(totalSteps - completed) / Double(max(1, totalSteps - warmupSteps)))
    case .cosine:
      let progress = Double(completed - warmupSteps) / Double(max(1, totalSteps - warmupSteps))
      return max(0, 0.5 * (1 + cos(Double.pi * progress)))
    }
  }
}
