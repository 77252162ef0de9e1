import ArgumentParser
import Evaluation

/// The options that decide how texts are continued.
struct DecodingArguments: ParsableArguments {
  @Option(help: "New tokens of one text, at most.")
  var maxNewTokens = 128

  @Option(help: "Beam search with so many beams (default: greedy).")
  var beams: Int?

  @Option(help: "Beam search: finished texts count log-probability / length^X; above 0 longer ones gain (default: 1).")
  var lengthPenalty: Double?

  @Option(help: "Draw tokens at random; below 1 likely ones become likelier (default with --top-k or --top-p: 1).")
  var temperature: Double?

  @Option(help: "Draw from so many of the likeliest tokens.")
  var topK: Int?

  @Option(help: "Draw from the likeliest tokens that together reach this probability.")
  var topP: Double?

  @Option(help: "The seed of drawn tokens.")
  var seed: UInt64 = 0

  /// What the options say.
  ///
  /// - Throws: `EvaluationError.refused` for options that exclude one another or are out of range.
  func options(batchSize: Int) throws -> DecodingOptions {
    let draws = temperature != nil || topK != nil || topP != nil
    guard !(draws && beams != nil) else {
      throw EvaluationError.refused("--beams does not go together with --temperature, --top-k and --top-p")
    }
    guard lengthPenalty == nil || beams != nil else {
      throw EvaluationError.refused("--length-penalty makes no sense without --beams")
    }
    var options = DecodingOptions(maxNewTokens: maxNewTokens, batchSize: batchSize)
    if draws {
      options.strategy = .sampling(
        SamplingOptions(temperature: temperature ?? 1, topK: topK, topP: topP, seed: seed))
    } else if let beams {
      options.strategy = .beams(count: beams, lengthPenalty: lengthPenalty ?? 1)
    }
    try options.validate()
    return options
  }
}
