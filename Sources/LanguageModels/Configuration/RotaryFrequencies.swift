import Foundation

/// The angles of a rotary embedding as a `config.json` describes them.
struct RotaryFrequencies {
  /// Angle per position of each pair.
  let inverse: [Double]
  /// A factor on cosine and sine.
  let magnitude: Double

  /// The keys of `config.json` that are read here.
  static let keys: Set<String> = ["rope_theta", "rope_scaling", "rope_parameters"]

  /// Reads `rope_parameters`, or `rope_theta` with `rope_scaling` as older files have it.
  ///
  /// - Parameters:
  ///   - headWidth: columns of a head.
  ///   - thetaKey: the older name of the base.
  ///   - share: what part of a head is rotated where `rope_parameters` does not say.
  ///   - allowsPartial: the family can rotate a part of a head.
  ///   - maximumPositions: of the model.
  /// - Throws: `CheckpointError` for a scaling that is not computed, or a key of it that is not known.
  init(
    _ file: ConfigurationFile, headWidth: Int, thetaKey: String = "rope_theta", share: Double = 1,
    allowsPartial: Bool = false, maximumPositions: Int
  ) throws {
    let parameters = try file.optionalObject("rope_parameters")
    let settings = try file.optionalObject("rope_scaling") ?? parameters
    let theta =
      try settings?.optionalNumber("rope_theta") ?? parameters?.optionalNumber("rope_theta")
      ?? file.number(thetaKey, default: 10000)
    guard theta > 1 else { throw file.error(thetaKey, "is \(theta), a base above 1 is needed") }
    let part =
      try settings?.optionalNumber("partial_rotary_factor") ?? parameters?.optionalNumber("partial_rotary_factor")
      ?? share
    guard part == 1 || (allowsPartial && part > 0 && part < 1) else {
      throw file.error("partial_rotary_factor", "is \(part), which this family does not have")
    }
    let dimensions = Int(Double(headWidth) * part)
    guard dimensions % 2 == 0, dimensions > 0 else {
      throw file.error(
        "partial_rotary_factor", "leaves \(dimensions) rotated columns of \(headWidth), an even number is needed")
    }
    let plain = (0..<dimensions / 2).map { pow(theta, -2 * Double($0) / Double(dimensions)) }
    let scaling = try Scaling(settings, file, maximumPositions: maximumPositions)
    inverse = scaling.apply(to: plain, theta: theta, dimensions: dimensions)
    magnitude = scaling.magnitude
  }
}

extension RotaryFrequencies {
  /// How the frequencies of a model with a stretched context differ from the plain ones.
  private enum Scaling {
    case none
    /// All divided by the factor (Chen et al., 2023).
    case linear(factor: Double)
    /// Long wavelengths divided by the factor, short ones kept, a ramp between (Llama 3.1).
    case llama3(factor: Double, lowFactor: Double, highFactor: Double, originalLength: Double)
    /// The ramp in terms of rotations over the original length (Peng et al., 2023).
    case yarn(
      factor: Double, betaFast: Double, betaSlow: Double, originalLength: Double, isTruncated: Bool, magnitude: Double)

    init(_ settings: ConfigurationFile?, _ file: ConfigurationFile, maximumPositions: Int) throws {
      guard let settings else {
        self = .none
        return
      }
      let kind = try settings.optionalString("rope_type") ?? settings.optionalString("type") ?? "default"
      func allow(_ keys: Set<String>) throws {
        let known = keys.union(["rope_type", "type", "rope_theta", "partial_rotary_factor"])
        for key in settings.keys where !known.contains(key) && !settings.isNull(key) {
          throw settings.error(key, "is not known for the scaling '\(kind)'")
        }
      }
      func number(_ key: String) throws -> Double {
        guard let value = try settings.optionalNumber(key) else { throw settings.error(key, "is missing") }
        guard value > 0 else { throw settings.error(key, "is \(value), a positive number is needed") }
        return value
      }
      func originalLength() throws -> Double {
        let length = try settings.optionalInteger("original_max_position_embeddings", atLeast: 1)
        return Double(length ?? maximumPositions)
      }
      switch kind {
      case "default":
        try allow([])
        self = .none
      case "dynamic":
        // Changes nothing up to the model's number of positions, beyond which no text may reach.
        try allow(["factor", "original_max_position_embeddings"])
        self = .none
      case "linear":
        try allow(["factor"])
        self = .linear(factor: try number("factor"))
      case "llama3":
        try allow(["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"])
        self = .llama3(
          factor: try number("factor"), lowFactor: try number("low_freq_factor"),
          highFactor: try number("high_freq_factor"), originalLength: try originalLength())
      case "yarn":
        try allow([
          "factor", "beta_fast", "beta_slow", "attention_factor", "original_max_position_embeddings", "mscale",
          "mscale_all_dim", "truncate",
        ])
        let factor = try number("factor")
        self = .yarn(
          factor: factor, betaFast: try settings.number("beta_fast", default: 32),
          betaSlow: try settings.number("beta_slow", default: 1), originalLength: try originalLength(),
          isTruncated: try settings.boolean("truncate", default: true),
          magnitude: try Self.yarnMagnitude(settings, factor: factor))
      default:
        throw settings.error("rope_type", "is '\(kind)'; known are default, dynamic, linear, llama3, yarn")
      }
    }

    /// The factor on cosine and sine: `attention_factor`, else 0.1 ln(factor) + 1 (Peng et al., 2023).
    private static func yarnMagnitude(_ settings: ConfigurationFile, factor: Double) throws -> Double {
      if let given = try settings.optionalNumber("attention_factor") { return given }
      func magnitude(_ scale: Double) -> Double { factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1 }
      if let scale = try settings.optionalNumber("mscale"), scale != 0,
        let all = try settings.optionalNumber("mscale_all_dim"), all != 0
      {
        return magnitude(scale) / magnitude(all)
      }
      return magnitude(1)
    }

    var magnitude: Double {
      guard case .yarn(_, _, _, _, _, let magnitude) = self else { return 1 }
      return magnitude
    }

    func apply(to plain: [Double], theta: Double, dimensions: Int) -> [Double] {
      switch self {
      case .none: return plain
      case .linear(let factor): return plain.map { $0 / factor }
      case .llama3(let factor, let lowFactor, let highFactor, let originalLength):
        return plain.map { frequency in
          let rotations = originalLength * frequency / (2 * Double.pi)
          if rotations < lowFactor { return frequency / factor }
          if rotations > highFactor { return frequency }
          let share = (rotations - lowFactor) / (highFactor - lowFactor)
          return (1 - share) * frequency / factor + share * frequency
        }
      case .yarn(let factor, let betaFast, let betaSlow, let originalLength, let isTruncated, _):
        // The pair that turns this many times over the original length.
        func pair(_ rotations: Double) -> Double {
          Double(dimensions) * log(originalLength / (rotations * 2 * Double.pi)) / (2 * log(theta))
        }
        var (low, high) = (pair(betaFast), pair(betaSlow))
        if isTruncated { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        (low, high) = (max(low, 0), min(high, Double(dimensions - 1)))
        if low == high { high += 0.001 }
        return plain.enumerated().map { index, frequency in
          let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
          return frequency / factor * ramp + frequency * (1 - ramp)
        }
      }
    }
  }
}
