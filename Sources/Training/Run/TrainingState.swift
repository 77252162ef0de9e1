import Foundation

/// Where a run stands: with the parameters and the optimizer's memory, all that is needed to go on.
public struct TrainingState: Sendable, Hashable, Codable {
  /// The best validation so far.
  public struct Best: Sendable, Hashable, Codable {
    public var step: Int
    public var loss: Double
    /// `BestMetric.score`; nil where it is the loss that counts, or undefined.
    public var score: Double?
  }

  /// Raised when older readers would misunderstand the file.
  public static let currentFormat = 1

  public var format = TrainingState.currentFormat
  /// Optimizer steps that are done.
  public var step = 0
  /// Passes over the data that are done.
  public var epoch = 0
  /// Examples of the epoch in progress that are used up.
  public var position = 0
  /// The seed; random draws follow from it and the step.
  public var seed: UInt64
  /// The step of the last validation; nil before the first.
  public var validatedStep: Int?
  public var best: Best?
  /// Validations since the best one.
  public var validationsWithoutGain = 0
  /// Seconds spent so far, over all sittings.
  public var elapsedSeconds = 0.0
  /// Bytes of `metrics.jsonl` that belong to the steps done.
  public var metricsBytes = 0
  /// Examples in the data.
  public var examples: Int
  /// `TrainingData.fingerprint`.
  public var fingerprint: UInt32

  init(seed: UInt64, examples: Int, fingerprint: UInt32) {
    self.seed = seed
    self.examples = examples
    self.fingerprint = fingerprint
  }

  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return try encoder.encode(self)
  }

  /// - Throws: `TrainingError.output` if the file cannot be used.
  static func read(_ url: URL) throws -> TrainingState {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    guard let state = try? decoder.decode(TrainingState.self, from: Data(contentsOf: url)) else {
      throw TrainingError.output(path: url.path, reason: "not a training state that this program can read")
    }
    guard state.format == currentFormat else {
      throw TrainingError.output(
        path: url.path, reason: "format \(state.format) is not known; this program reads format \(currentFormat)")
    }
    return state
  }
}
