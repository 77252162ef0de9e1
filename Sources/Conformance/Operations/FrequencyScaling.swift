import Foundation

/// How the rotary frequencies of a model with a stretched context differ from the plain ones.
enum FrequencyScaling {
  case none
  /// All frequencies divided by the factor (Chen et al., 2023).
  case linear(factor: Double)
  /// Long wavelengths divided by the factor, short ones kept, a ramp between (Llama 3.1).
  case llama3(factor: Double, lowFactor: Double, highFactor: Double, originalLength: Double)
  /// The ramp in terms of rotations over the original length (Peng et al., 2023).
  case yarn(factor: Double, betaFast: Double, betaSlow: Double, originalLength: Double, magnitude: Double)

  /// Reads the `rope_scaling` object of a `config.json`.
  ///
  /// - Throws: `ConformanceError.unsupported` for a kind that is not computed, `.invalidCall` for a missing number.
  init(_ value: AttributeValue) throws {
    guard value != .null else {
      self = .none
      return
    }
    guard case .object(let object) = value else {
      throw ConformanceError.invalidCall("attribute `frequencyScaling` is \(value), not an object")
    }
    guard case .string(let kind)? = object["rope_type"] ?? object["type"] else {
      throw ConformanceError.invalidCall("attribute `frequencyScaling` has no `rope_type`")
    }
    func number(_ key: String, _ defaultValue: Double? = nil) throws -> Double {
      switch object[key] {
      case .number(let number)?: return number
      case nil, .null?:
        if let defaultValue { return defaultValue }
        fallthrough
      default: throw ConformanceError.invalidCall("`frequencyScaling` of type \(kind) needs a number `\(key)`")
      }
    }
    func allow(_ keys: Set<String>) throws {
      let known = keys.union(["rope_type", "type", "factor", "original_max_position_embeddings", "rope_theta"])
      for key in object.keys.sorted() where !known.contains(key) {
        throw ConformanceError.unsupported("`frequencyScaling` of type \(kind) with `\(key)`")
      }
    }
    switch kind {
    case "default": self = .none
    case "linear":
      try allow([])
      self = .linear(factor: try number("factor"))
    case "llama3":
      try allow(["low_freq_factor", "high_freq_factor"])
      self = .llama3(
        factor: try number("factor"), lowFactor: try number("low_freq_factor"),
        highFactor: try number("high_freq_factor"), originalLength: try number("original_max_position_embeddings"))
    case "yarn":
      try allow(["beta_fast", "beta_slow", "attention_factor"])
      let factor = try number("factor")
      self = .yarn(
        factor: factor, betaFast: try number("beta_fast", 32), betaSlow: try number("beta_slow", 1),
        originalLength: try number("original_max_position_embeddings"),
        magnitude: try number("attention_factor", factor <= 1 ? 1 : 0.1 * log(factor) + 1))
    default: throw ConformanceError.unsupported("`frequencyScaling` of type \(kind)")
    }
  }

  /// Angles per position of each pair, and the factor on cosine and sine.
  func frequencies(theta: Double, dimensions: Int) -> (inverse: [Double], magnitude: Double) {
    let plain = (0..<dimensions / 2).map { pow(theta, -2 * Double($0) / Double(dimensions)) }
    switch self {
    case .none: return (plain, 1)
    case .linear(let factor): return (plain.map { $0 / factor }, 1)
    case .llama3(let factor, let lowFactor, let highFactor, let originalLength):
      let scaled = plain.map { frequency in
        let rotations = originalLength * frequency / (2 * Double.pi)
        if rotations < lowFactor { return frequency / factor }
        if rotations > highFactor { return frequency }
        let share = (rotations - lowFactor) / (highFactor - lowFactor)
        return (1 - share) * frequency / factor + share * frequency
      }
      return (scaled, 1)
    case .yarn(let factor, let betaFast, let betaSlow, let originalLength, let magnitude):
      // The pair that turns this many times over the original length.
      func pair(_ rotations: Double) -> Double {
        Double(dimensions) * log(originalLength / (rotations * 2 * Double.pi)) / (2 * log(theta))
      }
      let low = max(pair(betaFast).rounded(.down), 0)
      var high = min(pair(betaSlow).rounded(.up), Double(dimensions - 1))
      if low == high { high += 0.001 }
      let scaled = plain.enumerated().map { index, frequency in
        let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
        return frequency / factor * ramp + frequency * (1 - ramp)
      }
      return (scaled, magnitude)
    }
  }
}
