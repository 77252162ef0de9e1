import Foundation

/// The temperature of Gumbel-Softmax choices over a run (dynamic prompting's code): before step s it is multiplied by
/// `exp(-rate (s - 1) / annealing)`, so that its logarithm falls with the square of the step, down to a floor.
public struct TemperatureSchedule: Sendable, Hashable {
  public var start: Double
  public var floor: Double
  public var annealing: Double

  /// What the exponent falls by for each step.
  static let rate = 3e-5

  public init(start: Double = 1, floor: Double = 0.5, annealing: Double = 10) {
    self.start = start
    self.floor = floor
    self.annealing = annealing
  }

  init(_ options: PromptOptions) {
    self.init(start: options.temperature, floor: options.temperatureFloor, annealing: options.annealing)
  }

  /// The temperature after so many updates.
  public func temperature(after updates: Int) -> Double {
    // The exponents 1, 2, ..., `updates` add up.
    let sum = Double(updates) * Double(updates + 1) / 2
    return max(start * exp(-Self.rate * sum / annealing), floor)
  }
}
